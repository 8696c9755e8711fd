"""Postgres: where sinks write what the topics say. Nothing here knows a domain."""
