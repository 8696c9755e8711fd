"""Verification of an audit log in Kafka, in Postgres or in an exported file, in parallel by segment."""
