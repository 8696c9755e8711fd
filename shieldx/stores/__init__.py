"""What lies beyond the topics: state on disk, and Postgres, where sinks write. Nothing here knows a domain."""
