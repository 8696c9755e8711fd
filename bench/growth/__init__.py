"""Measures how the ledger's figures grow with partitions, workers, history and remembered keys."""
