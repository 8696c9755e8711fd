"""What `shieldx evaluate` is made of."""
