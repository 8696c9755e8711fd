"""Evaluators, which judge batches of samples by rules in separate processes."""
