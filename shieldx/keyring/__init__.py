"""The keys that sign the audit log, and where they come from."""
