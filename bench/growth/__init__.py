"""How the ledger's figures grow: with partitions and workers, with history, with what is remembered."""
