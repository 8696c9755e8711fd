"""Measures the protection of personal data."""
