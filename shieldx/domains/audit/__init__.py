"""The audit log: entries that are chained by hash and signed, so that nobody alters one unnoticed."""
