"""The `shieldx` command."""
