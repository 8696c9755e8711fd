"""Reconciliation: replays the ledger and compares the outcome with results, audit log, tables and Postgres."""
