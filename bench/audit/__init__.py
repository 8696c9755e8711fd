"""How fast the audit log is chained, mirrored and verified."""
