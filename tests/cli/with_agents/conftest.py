from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.cli.cli_stack import PARTITIONS, TIMEOUT_S, CliStack
from tests.databases import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory, ring: Path, kafka_installed: None) -> Iterator[CliStack]:  # noqa: ARG001 - quietly
    """One stack with every agent, for all tests here: each leaves it as it found it and has tenants of its own."""
    place = CliStack(tmp_path_factory.mktemp("cli") / "stack")
    place.environment |= {"SHIELDX_AUDIT_KEYRING_FILE": str(ring), "SHIELDX_SHADOW_PROCESSES": "1"}
    process = place.up("--partitions", str(PARTITIONS), logged=True)
    yield place
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT_S)
    errors = place.log.read_text()
    assert process.returncode == 0, errors
    first, made, *others = [line for line in errors.splitlines() if "WARNING" not in line]
    assert first == "starting Kafka and Postgres"
    assert made.startswith("creating a database for Postgres")
    migrated = f"applied {len(list(MIGRATIONS.glob('*.sql')))} migrations"
    assert others == [migrated, "starting the agents", "stopped the agents; stopping Kafka and Postgres"]
