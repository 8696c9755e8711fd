"""State on disk, in RocksDB."""
