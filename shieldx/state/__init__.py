"""State of a task: tables, windows, deduplication and timers, and the port to a store. Pure."""
