"""The embedded development stack: a real Kafka broker, without Docker and without an installed Java."""
