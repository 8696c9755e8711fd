"""The parts of `shieldx evaluate`, and the client of the agent `shadow`."""
