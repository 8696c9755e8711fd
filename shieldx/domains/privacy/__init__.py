"""Encryption of personal data, which only the holder of a key can read."""
