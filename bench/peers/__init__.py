"""Programs that do the plainest form of the ledger's job with other libraries, each written as its users would.

They keep a balance per tenant that never becomes negative, remember idempotency keys, and send one result per command,
without audit log, holds, or tables for other readers. Each runs in its own process: `python -m bench.peers.<name> …`.
"""
