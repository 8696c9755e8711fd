"""Evaluators: they judge batches of samples by rules, in processes of their own."""
