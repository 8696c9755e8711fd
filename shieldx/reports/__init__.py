"""Evaluation reports as text, tables and an HTML page."""
