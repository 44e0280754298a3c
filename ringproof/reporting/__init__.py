"""The reporting: what a validation found, for a terminal, for CI and for a browser."""
