"""Measures how fast the audit log is chained, mirrored and verified."""
