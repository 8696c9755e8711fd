"""Migrations: applied once whoever applies them, taken back, and a schema that is not this program's refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from shieldx.errors import FixConfiguration
from shieldx.sinks.database import CheckPostgres
from shieldx.sinks.schema import MigrationFailed, Schema
from tests.databases import MIGRATIONS, named, new_database, query

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.integration

TABLES = (
    "SELECT table_schema || '.' || table_name FROM information_schema.tables "
    "WHERE table_schema IN ('shieldx', 'credits', 'privacy') ORDER BY 1"
)
ALL = [
    "credits.accounts",
    "credits.personal_data",
    "credits.transactions",
    "privacy.erased_keys",
    "shieldx.positions",
    "shieldx.unreadable",
]


@pytest.fixture
async def empty(postgres: str) -> AsyncIterator[str]:
    """A database without the schema."""
    async with new_database(postgres, migrated=False) as address:
        yield address


async def tables(dsn: str) -> list[str]:
    return [name for (name,) in await query(dsn, TABLES)]


def page(folder: Path, number: int, *, depends: str, up: str, down: str = "SELECT 1") -> str:
    name = f"{number:04d}-page"
    text = f"-- A page.\n-- depends: {depends}\n\n-- migrate: apply\n{up};\n-- migrate: rollback\n{down};\n"
    (folder / f"{name}.sql").write_text(text)
    return name


async def test_migrations_are_applied_once_and_taken_back(empty: str) -> None:
    schema = Schema(empty, MIGRATIONS)
    known = (await schema.state()).known
    assert (await schema.state()).pending == known
    assert await schema.up() == list(known)
    assert await tables(empty) == ALL
    assert await schema.up() == []
    assert await schema.down(3) == list(known[:0:-1])
    assert await tables(empty) == ["shieldx.positions", "shieldx.unreadable"]
    assert await schema.down(None) == list(known[:1])
    assert await tables(empty) == []
    assert await schema.up() == list(known)


async def test_of_several_at_once_one_applies_and_the_others_find_nothing_to_do(empty: str) -> None:
    applied = await asyncio.gather(*(Schema(empty, MIGRATIONS).up() for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len((await Schema(empty, MIGRATIONS).state()).known)]
    assert await tables(empty) == ALL


async def test_a_schema_that_is_behind_names_what_is_missing(empty: str) -> None:
    with pytest.raises(FixConfiguration, match=r"behind this program: 0001-positions.* Run `shieldx migrate up`"):
        (await Schema(empty, MIGRATIONS).state()).check()


async def test_a_schema_that_is_ahead_is_left_alone(empty: str, tmp_path: Path) -> None:
    await Schema(empty, MIGRATIONS).up()
    older = page(tmp_path, 1, depends="", up="SELECT 1")
    for action in (Schema(empty, tmp_path).up(), Schema(empty, tmp_path).down(1)):
        with pytest.raises(FixConfiguration, match=r"ahead of this program: 0001-positions.* Upgrade"):
            await action
    state = await Schema(empty, tmp_path).state()
    assert state.pending == (older,)
    with pytest.raises(FixConfiguration, match="ahead"):
        state.check()


async def test_of_a_migration_that_fails_nothing_remains_and_those_before_it_stay(empty: str, tmp_path: Path) -> None:
    good = page(tmp_path, 1, depends="", up="CREATE SCHEMA credits; CREATE TABLE credits.one (x int)")
    bad = page(tmp_path, 2, depends=good, up="CREATE TABLE credits.two (x int); SELECT 1 / 0")
    with pytest.raises(MigrationFailed, match=f"migration {bad} failed, and nothing of it remains: division by zero"):
        await Schema(empty, tmp_path).up()
    assert await tables(empty) == ["credits.one"]
    assert (await Schema(empty, tmp_path).state()).pending == (bad,)


async def test_a_database_that_cannot_hold_every_text_is_refused(postgres: str) -> None:
    name, administration = f"test_{uuid4().hex}", named(postgres, "postgres")
    locale = "LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    await query(administration, f"CREATE DATABASE {name} ENCODING 'LATIN1' {locale}")
    with pytest.raises(FixConfiguration, match=r"has the encoding LATIN1; .* ENCODING 'UTF8'"):
        await Schema(named(postgres, name), MIGRATIONS).up()
    await query(administration, f"DROP DATABASE {name}")


async def test_a_server_that_does_not_answer_is_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(CheckPostgres, match=r"Postgres at 127\.0\.0\.1:1/x does not respond") as refused:
        await Schema("postgresql://u:hunter2@127.0.0.1:1/x", tmp_path).state()
    assert "hunter2" not in str(refused.value)
