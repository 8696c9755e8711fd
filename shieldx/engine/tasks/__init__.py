"""Tasks: records in, outputs and state out, in one transaction."""
