"""Credits: a metered ledger that can never go negative. Pure: no clock, randomness, I/O or environment."""
