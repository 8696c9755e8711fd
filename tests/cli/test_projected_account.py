"""Balance and statement on a test's own Postgres, without Kafka or with concurrent changes."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from shieldx.bootstrap.platform import Platform
from shieldx.cli.projected_account import projected_account
from shieldx.settings import load_settings
from shieldx.sinks.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

pytestmark = pytest.mark.integration

MIGRATIONS = Path(__file__).parents[2] / "migrations"
NO_KAFKA = "127.0.0.1:1"
ROWS = """
INSERT INTO credits.accounts VALUES ('org-1', 70, 0, 30, 100, 1, 5);
INSERT INTO credits.transactions VALUES
    ('1-3', 'org-1', 1, 3, NULL, 'purchase', 100, 100, '2026-11-22T13:00:00Z', 'k1', '', NULL),
    ('1-4', 'org-1', 1, 4, NULL, 'consume', -30, 70, '2026-11-22T13:00:01Z', 'k2', '', NULL);
INSERT INTO shieldx.positions (sink, topic, partition, next_offset, cluster_id, record_at) VALUES
    ('credits-statements', 'credits.accounts', 1, 6, 'one', '2026-11-22T13:00:02Z'),
    ('credits-statements', 'credits.transactions', 1, 5, 'one', '2026-11-22T13:00:01Z'),
    ('credits-statements', 'credits.accounts', 0, 9, 'one', '2026-11-22T14:00:00Z');
"""
ONE_MORE = """
UPDATE credits.accounts SET balance = 60, total_spent = 40;
UPDATE shieldx.positions SET next_offset = next_offset + 1, record_at = '2026-11-22T15:00:00Z';
"""
SET_ASIDE = """
INSERT INTO shieldx.unreadable (sink, topic, partition, record_offset, reason) VALUES
    ('credits-statements', 'credits.accounts', 1, 2, 'of the tenant''s partition'),
    ('credits-statements', 'credits.transactions', 1, 2, 'of the tenant''s partition'),
    ('credits-statements', 'credits.transactions', 0, 2, 'of another one'),
    ('audit-mirror', 'audit.log', 1, 2, 'of another sink');
"""


@pytest.fixture
def ledger(postgres: str, stack_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a database with one tenant of partition 1. The settings lead to it, but to no Kafka."""
    assert not stack_folder.exists()
    name = f"test_{uuid4().hex}"
    address = urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))
    asyncio.run(execute(postgres, f"CREATE DATABASE {name}"))
    asyncio.run(Schema(address, MIGRATIONS).up())
    asyncio.run(execute(address, ROWS))
    monkeypatch.setenv("SHIELDX_POSTGRES_DSN", address)
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", NO_KAFKA)
    yield address
    asyncio.run(execute(postgres, f"DROP DATABASE {name} WITH (FORCE)"))


async def execute(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


@pytest.mark.usefixtures("ledger")
def test_without_kafka_a_balance_says_when_its_partition_was_last_applied(shieldx: Callable[..., Result]) -> None:
    shown, given = shieldx("balance", "org-1"), shieldx("balance", "org-1", "--json")
    assert (shown.exit_code, given.exit_code) == (0, 0)
    assert (
        "unknown number of records behind the ledger, because Kafka does not respond; "
        "last applied 2026-11-22T13:00:02.000Z" in (shown.stdout)
    )
    answer = json.loads(given.stdout)
    assert (answer["balance"], answer["available"]) == (70, 70)
    assert answer["behind"] == {"records": None, "set_aside": 0, "applied_at": "2026-11-22T13:00:02.000Z"}
    assert "source_partition" not in answer


@pytest.mark.usefixtures("ledger")
def test_without_kafka_a_statement_is_shown_all_the_same(shieldx: Callable[..., Result]) -> None:
    *_, closing = map(json.loads, shieldx("statement", "org-1", "--json").stdout.splitlines())
    assert closing["closing"] == 70
    assert closing["behind"] == {"records": None, "set_aside": 0, "applied_at": "2026-11-22T13:00:02.000Z"}
    last = shieldx("statement", "org-1").stdout.splitlines()[-1]
    assert last.startswith(
        "This is an unknown number of records behind the ledger, because Kafka does not respond; last applied"
    )


@pytest.mark.parametrize("arguments", [("balance", "org-1"), ("balance", "org-1", "--at", "9"), ("statement", "org-1")])
def test_records_that_are_set_aside_are_counted_and_the_exit_code_is_1(
    shieldx: Callable[..., Result], ledger: str, arguments: tuple[str, ...]
) -> None:
    asyncio.run(execute(ledger, SET_ASIDE))
    shown, given = shieldx(*arguments), shieldx(*arguments, "--json")
    assert (shown.exit_code, given.exit_code) == (1, 1)
    assert "because Kafka does not respond, 2 of them set aside in shieldx.unreadable; last applied" in shown.stdout
    assert json.loads(given.stdout.splitlines()[-1])["behind"]["set_aside"] == 2
    for result in (shown, given):
        assert "2 records are set aside in shieldx.unreadable, so this may be incomplete" in result.stderr


def test_of_an_unknown_tenant_all_that_is_set_aside_is_counted(shieldx: Callable[..., Result], ledger: str) -> None:
    asyncio.run(execute(ledger, SET_ASIDE))
    unknown = shieldx("balance", "org-2")
    assert unknown.exit_code == 1
    assert "unknown tenant 'org-2' (an unknown number of records" in unknown.stderr
    assert "3 of them set aside in shieldx.unreadable" in unknown.stderr


@pytest.mark.usefixtures("ledger")
def test_the_greatest_offset_is_a_moment_like_any_other(shieldx: Callable[..., Result]) -> None:
    then = shieldx("balance", "org-1", "--at", str(2**63 - 1), "--json")
    assert (then.exit_code, json.loads(then.stdout)["balance"]) == (0, 70)


def test_figures_and_positions_are_of_one_moment(ledger: str) -> None:
    figures, applied_at = asyncio.run(read_while_rows_change(ledger))
    assert (figures["balance"], figures["total_spent"]) == (70, 30)
    assert applied_at == "2026-11-22T13:00:02.000Z"
    figures, applied_at = asyncio.run(read_while_rows_change(ledger))
    assert (figures["balance"], applied_at) == (60, "2026-11-22T15:00:00.000Z")


async def read_while_rows_change(dsn: str) -> tuple[dict[str, Any], str | None]:
    async with projected_account(Platform(load_settings(os.environ)), "org-1") as account:
        await execute(dsn, ONE_MORE)
        return await account.figures(), (await account.behind()).applied_at
