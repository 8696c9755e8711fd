"""Topics, access lists and schemas."""
