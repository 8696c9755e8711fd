"""The demo: a usage trace replayed through the ledger, and every balance counted again."""
