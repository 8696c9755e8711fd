"""Rates, latency and state per agent and partition, computed from the workers' metrics over an interval."""
