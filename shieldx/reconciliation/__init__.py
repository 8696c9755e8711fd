"""Whether the books are right: the ledger replayed, and compared with results, audit log, tables and Postgres."""
