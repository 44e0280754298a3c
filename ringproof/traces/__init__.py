"""Traces: one document, its views, and its replay."""
