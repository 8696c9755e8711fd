"""Verifying an audit log where it is kept: in Kafka, in Postgres or in an exported file; in parallel, by segment."""
