"""The domains: pure decisions, each in a package of its own. No clock, randomness, I/O or environment."""
