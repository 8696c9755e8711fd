"""The composition root: creates running workers from settings."""
