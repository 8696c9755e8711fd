"""Every command that asks Postgres, through a real PgBouncer and without Kafka."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.databases import new_database, query
from tests.pgbouncer import PgBouncer, pgbouncer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from click.testing import Result

    from tests.pgbouncer_install import InstalledPgBouncer

    Shieldx = Callable[..., Result]

pytestmark = pytest.mark.integration

COMMANDS = [
    ("migrate", "status"),
    ("migrate", "up"),
    ("migrate", "down", "--yes"),
    ("balance", "org-1"),
    ("statement", "org-1"),
    ("audit", "verify", "--only", "postgres", "--jobs", "2"),
    ("audit", "search", "--tenant", "org-1"),
    ("audit", "export", "--source", "postgres"),
]
ACCOUNT = "INSERT INTO credits.accounts VALUES ('org-1', 70, 0, 30, 100, 1, 5)"


@pytest.fixture
async def pooler(
    pgbouncer_program: InstalledPgBouncer,
    postgres: str,
    stack_folder: Path,  # noqa: ARG001 - unsets what the environment has
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[PgBouncer]:
    """A pooler with its defaults. The settings lead to a migrated database through it, and to no Kafka."""
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    async with new_database(postgres) as dsn, pgbouncer(pgbouncer_program, folder, dsn) as made:
        await query(dsn, ACCOUNT)
        monkeypatch.setenv("SHIELDX_POSTGRES_DSN", made.dsn)
        monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "127.0.0.1:1")
        keys = {"first": "k1", "keys": {"k1": b"1" * 32}}
        monkeypatch.setenv("SHIELDX_AUDIT_KEYRING", msgspec.json.encode(keys).decode())
        yield made


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_a_command_works_through_a_pooler_with_its_defaults(
    shieldx: Shieldx, pooler: PgBouncer, command: tuple[str, ...]
) -> None:
    result = await asyncio.to_thread(shieldx, *command)
    assert result.exit_code == 0, (result.output, pooler.log)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_command_says_what_to_set_where_sessions_are_shared(
    shieldx: Shieldx, pooler: PgBouncer, mode: str
) -> None:
    pooler.stop()
    await pooler.start({"pool_mode": mode})
    for command in COMMANDS:
        result = await asyncio.to_thread(shieldx, *command)
        assert result.exit_code == 2, (command, result.output)
        assert "set `pool_mode = session` in PgBouncer" in result.stderr
