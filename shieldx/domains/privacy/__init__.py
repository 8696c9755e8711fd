"""Personal data that only the holder of a key can read."""
