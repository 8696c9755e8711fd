"""Metrics, health and logs of a worker."""
