"""The keys that sign the audit log, and the places they are loaded from."""
