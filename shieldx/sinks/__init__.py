"""Sinks: projections of topics in Postgres."""
