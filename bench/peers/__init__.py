"""Programs that do the plainest form of the ledger's job on other libraries, each as its users would write it.

A balance a tenant that never goes negative, idempotency keys remembered, one result a command. No audit log, no holds,
no tables for others to read. Each runs in a process of its own: `python -m bench.peers.<name> …`.
"""
