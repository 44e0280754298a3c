"""Validation of a driver behind the C ABI: worker, campaigns, verdicts."""
