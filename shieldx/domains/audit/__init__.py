"""The audit log: entries chained by hash and signed, so that no alteration goes unnoticed."""
