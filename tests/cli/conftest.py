from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from shieldx.cli.main import main
from shieldx.keyring.file import add_key, new_keyring
from tests.cli.cli_stack import PARTITIONS, TIMEOUT_S, CliStack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def stack_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith("SHIELDX_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "stack"
    monkeypatch.setenv("SHIELDX_STACK_FOLDER", str(folder))
    return folder


@pytest.fixture
def shieldx(stack_folder: Path) -> Callable[..., Result]:
    """Call the command in this process, with a stack folder that does not exist yet."""

    def call(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(main, arguments, input=given)

    assert not stack_folder.exists()
    return call


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keyring for the audit log, which signs with k1 at first and has k2 as well."""
    path = tmp_path_factory.mktemp("audit-keys") / "ring.json"
    new_keyring(path, "k1")
    add_key(path, "k2")
    return path


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, ring: Path, kafka_installed: None) -> Iterator[CliStack]:  # noqa: ARG001 - quietly
    """One stack with every agent, for all tests that leave it as they found it; each has tenants of its own."""
    place = CliStack(tmp_path_factory.mktemp("cli") / "stack")
    place.environment |= {"SHIELDX_AUDIT_KEYRING_FILE": str(ring), "SHIELDX_SHADOW_PROCESSES": "1"}
    process = place.up("--partitions", str(PARTITIONS))
    yield place
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    first, made, *others = [line for line in errors.splitlines() if "WARNING" not in line]
    assert first == "starting Kafka and Postgres"
    assert made.startswith("creating a database for Postgres")
    assert others == ["applied 3 migrations", "starting the agents", "stopped the agents; stopping Kafka and Postgres"]
