"""Agents without a broker, for tests."""
