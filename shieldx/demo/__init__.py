"""The demo: replays a usage trace through the ledger and recomputes every balance independently."""
