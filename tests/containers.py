"""Kafka and Postgres from images instead of the embedded stack, where SHIELDX_STACK=containers and Docker runs."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testcontainers.core.container import DockerContainer

KAFKA = "confluentinc/cp-kafka:7.6.0"
"""The image that testcontainers' own start-up script is written for."""
POSTGRES = "postgres:18"
BROKER_SETTINGS = {
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS": "1000",
}
"""What the tests expect of a broker that stands alone, as the embedded one has it."""


def chosen() -> bool:
    """Whether the tests run on containers.

    Raises:
        pytest.UsageError: SHIELDX_STACK names neither.
    """
    stack = os.environ.get("SHIELDX_STACK", "embedded")
    if stack not in {"embedded", "containers"}:
        raise pytest.UsageError(f"SHIELDX_STACK={stack!r} is neither 'embedded' nor 'containers'")
    return stack == "containers"


@contextmanager
def kafka_container() -> Iterator[str]:
    """A broker's address."""
    from testcontainers.community.kafka import KafkaContainer  # noqa: PLC0415 - only where it is asked for

    with _engine():
        container = KafkaContainer(KAFKA).with_kraft()
    for name, value in BROKER_SETTINGS.items():
        container.with_env(name, value)
    with _running(container):
        yield container.get_bootstrap_server()


@contextmanager
def postgres_container() -> Iterator[str]:
    """A server's address."""
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - as above

    with _engine():
        container = PostgresContainer(POSTGRES, username="shieldx", dbname="shieldx", driver=None)
    with _running(container):
        yield container.get_connection_url()


@contextmanager
def _running(container: DockerContainer) -> Iterator[None]:
    with _engine():
        container.start()
    try:
        yield
    finally:
        container.stop()


@contextmanager
def _engine() -> Iterator[None]:
    """Report a missing Docker in one sentence; otherwise every test would fail with a page of output."""
    from docker.errors import DockerException  # type: ignore[import-untyped] # noqa: PLC0415 - as above

    try:
        yield
    except DockerException as error:
        pytest.exit(f"SHIELDX_STACK=containers needs a Docker engine: {error}. Unset it for the embedded stack", 3)
