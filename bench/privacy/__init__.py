"""Measures how fast masking is."""
