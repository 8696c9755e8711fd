"""Faults around a sink's tables: named, tried again, and never held against a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import pytest

from shieldx.domains.credits.tables import ACCOUNTS
from shieldx.sinks.database import MendPostgres
from tests.databases import query
from tests.sinks.ledger_rows import Record, account, transaction
from tests.sinks.log_entries import DAY_MS, chain, entry, mirrored, record, records
from tests.sinks.roles import grant, role
from tests.sinks.sink_tasks import MIRROR, STATEMENTS, pool, sink_of, task_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.sinks.database import Database
    from shieldx.sinks.sink_task import SinkTask

pytestmark = pytest.mark.integration

JANUARY = "audit.entries_2026_01"
SET_ASIDE = "SELECT record_offset, reason FROM shieldx.unreadable"
MOVEMENTS = "SELECT transaction_id FROM credits.transactions ORDER BY input_offset"
GUARD = "CREATE FUNCTION public.guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
ON_MOVEMENTS = "CREATE TRIGGER guard BEFORE INSERT ON credits.transactions FOR EACH ROW EXECUTE FUNCTION public.guard()"
ON_DELETION = "CREATE TRIGGER guard BEFORE DELETE ON credits.accounts FOR EACH ROW EXECUTE FUNCTION public.guard()"
ON_ENTRIES = "CREATE TRIGGER guard BEFORE INSERT ON audit.entries FOR EACH ROW EXECUTE FUNCTION public.guard()"
TO_TENANTS = "ALTER TABLE credits.transactions ADD CONSTRAINT to_tenants FOREIGN KEY (tenant_id) REFERENCES tenants"
NO_GUARD = "DROP FUNCTION public.guard() CASCADE"


class Fault(NamedTuple):
    """What somebody does to the database, what the sink says of it, and how it is mended."""

    broken_by: Sequence[str]
    said: str
    mended_by: Sequence[str]


async def started(name: str, database: Database) -> SinkTask:
    task = task_of(sink_of(name), database)
    await task.start()
    return task


async def execute(dsn: str, statements: Sequence[str]) -> None:
    for statement in statements:
        await query(dsn, statement)


async def wait_out(dsn: str, name: str, fault: Fault, written: Sequence[Record], rest: Sequence[Record]) -> None:
    """Have a sink meet a fault between two batches, try three times, and continue once the fault is mended."""
    async with pool(dsn) as database:
        task = await started(name, database)
        await task.process(written)
        await execute(dsn, fault.broken_by)
        for _ in range(3):
            with pytest.raises(MendPostgres, match=fault.said) as refused:
                await task.process(rest)
            assert "secret" not in str(refused.value), "a row"
            task = await started(name, database)
        await execute(dsn, fault.mended_by)
        assert await task.process(rest) == len(rest)
    assert await query(dsn, SET_ASIDE) == []


ENTRIES = {
    "a month is detached": Fault(
        [f"ALTER TABLE audit.entries DETACH PARTITION {JANUARY}"],
        "a month's partition is detached, and its name still taken",
        [f"ALTER TABLE audit.entries ATTACH PARTITION {JANUARY} FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z')"],
    ),
    "a check": Fault(
        ["ALTER TABLE audit.entries ADD CONSTRAINT foreign_check CHECK (sequence < 20) NOT VALID"],
        f"the constraint foreign_check of {JANUARY} refuses a row",
        ["ALTER TABLE audit.entries DROP CONSTRAINT foreign_check"],
    ),
    "a trigger that raises": Fault(
        [GUARD.format(body="RAISE EXCEPTION 'a secret %', NEW;"), ON_ENTRIES],
        "the function (public.)?guard, which ShieldX did not make, refuses what is written",
        [NO_GUARD],
    ),
    "a trigger that raises what a bad value would": Fault(
        [GUARD.format(body="RAISE EXCEPTION 'a secret %', NEW USING ERRCODE = '22021';"), ON_ENTRIES],
        "the function (public.)?guard, which ShieldX did not make, refuses what is written",
        [NO_GUARD],
    ),
    "a trigger that suppresses rows": Fault(
        [GUARD.format(body="IF NEW.sequence = 25 THEN RETURN NULL; END IF; RETURN NEW;"), ON_ENTRIES],
        "audit.entries stored 19 of 20 rows; correct the trigger, rule or policy",
        [NO_GUARD],
    ),
    "the function for months is gone": Fault(
        [
            f"DROP TABLE {JANUARY}",
            "ALTER FUNCTION audit.make_partition(date) RENAME TO make_nothing",
        ],
        "restore what is missing .UndefinedFunctionError: function audit.make_partition",
        [
            "ALTER FUNCTION audit.make_nothing(date) RENAME TO make_partition",
        ],
    ),
}


@pytest.mark.parametrize("fault", ENTRIES.values(), ids=list(ENTRIES))
async def test_a_fault_around_the_audit_log_s_mirror_is_waited_out(dsn: str, fault: Fault) -> None:
    entries = chain(40)
    await wait_out(dsn, MIRROR, fault, records(entries)[:20], records(entries)[20:])
    dropped = any(statement.startswith("DROP TABLE") for statement in fault.broken_by)
    assert await mirrored(dsn) == entries[20 if dropped else 0 :]


MOVEMENT_FAULTS = {
    "a foreign key": Fault(
        [
            "CREATE TABLE tenants AS SELECT DISTINCT tenant_id AS id FROM credits.transactions",
            "ALTER TABLE tenants ADD PRIMARY KEY (id)",
            TO_TENANTS,
        ],
        "the constraint to_tenants of credits.transactions refuses a row",
        ["ALTER TABLE credits.transactions DROP CONSTRAINT to_tenants"],
    ),
    "a unique index": Fault(
        ["CREATE UNIQUE INDEX one_key ON credits.transactions (idempotency_key) WHERE input_offset > 2"],
        "the constraint one_key of credits.transactions refuses a row",
        ["DROP INDEX credits.one_key"],
    ),
    "an index that holds no long text": Fault(
        ["CREATE INDEX by_description ON credits.transactions (description)"],
        "it failed .ProgramLimitExceededError: index row size",
        ["DROP INDEX credits.by_description"],
    ),
    "a deferred foreign key": Fault(
        [
            "CREATE TABLE tenants AS SELECT DISTINCT tenant_id AS id FROM credits.transactions",
            "ALTER TABLE tenants ADD PRIMARY KEY (id)",
            f"{TO_TENANTS} DEFERRABLE INITIALLY DEFERRED",
        ],
        "the constraint to_tenants of credits.transactions refuses a row",
        ["ALTER TABLE credits.transactions DROP CONSTRAINT to_tenants"],
    ),
    "an exclusion": Fault(
        ["ALTER TABLE credits.transactions ADD CONSTRAINT alone EXCLUDE (amount WITH =) WHERE (input_offset > 2)"],
        "the constraint alone of credits.transactions refuses a row",
        ["ALTER TABLE credits.transactions DROP CONSTRAINT alone"],
    ),
    "a column that must not be null": Fault(
        [
            "UPDATE credits.transactions SET refunds = ''",
            "ALTER TABLE credits.transactions ALTER refunds SET NOT NULL",
        ],
        "the column refunds of credits.transactions must not be null",
        ["ALTER TABLE credits.transactions ALTER refunds DROP NOT NULL"],
    ),
    "a narrower column": Fault(
        ["ALTER TABLE credits.transactions ALTER idempotency_key TYPE varchar(3)"],
        "a column or the database's encoding is not what `shieldx migrate up` made .StringDataRightTruncationError",
        ["ALTER TABLE credits.transactions ALTER idempotency_key TYPE text"],
    ),
    "a rule that stores nothing": Fault(
        ["CREATE RULE nothing AS ON INSERT TO credits.transactions DO INSTEAD NOTHING"],
        "credits.transactions stored 0 of 3 rows; correct the trigger, rule or policy",
        ["DROP RULE nothing ON credits.transactions"],
    ),
    "a trigger that suppresses rows": Fault(
        [GUARD.format(body="RETURN NULL;"), ON_MOVEMENTS],
        "credits.transactions stored 0 of 3 rows",
        [NO_GUARD],
    ),
    "a trigger that fails": Fault(
        [GUARD.format(body="NEW.amount := NEW.amount / 0; RETURN NEW;"), ON_MOVEMENTS],
        "the function (public.)?guard, which ShieldX did not make, refuses what is written: correct it .DivisionByZero",
        [NO_GUARD],
    ),
    "a table that was renamed": Fault(
        ["ALTER TABLE credits.transactions RENAME TO moved"],
        "it lacks what the migrations made: .* restore what is missing",
        ["ALTER TABLE credits.moved RENAME TO transactions"],
    ),
}
LONG = "".join(chr(0x4E00 + number * 7 % 20_000) for number in range(1024))
"""As long as a description may be, of characters that cannot be compressed below what an index holds."""


def movement(offset: int, description: str = "") -> Record:
    return transaction(offset, "a", key="secret", description=description)


@pytest.mark.parametrize("fault", MOVEMENT_FAULTS.values(), ids=list(MOVEMENT_FAULTS))
async def test_a_fault_around_the_ledger_s_rows_is_waited_out(dsn: str, fault: Fault) -> None:
    written = [movement(offset) for offset in range(3)]
    rest = [movement(3), movement(4, LONG), transaction(5, "b", key="secret")]
    if "varchar" in fault.broken_by[0]:
        written = [transaction(offset, "a", key="k") for offset in range(3)]
    await wait_out(dsn, STATEMENTS, fault, written, rest)
    assert await query(dsn, MOVEMENTS) == [(f"0-{offset}",) for offset in range(6)]


async def test_a_deletion_that_is_suppressed_is_noticed(dsn: str) -> None:
    fault = Fault(
        [GUARD.format(body="RETURN NULL;"), ON_DELETION],
        "credits.accounts kept 1 of 2 rows that were deleted; correct the trigger, rule or policy",
        [NO_GUARD],
    )
    written = [account(0, "a", 1), account(1, "b", 2)]
    deletions = [Record(ACCOUNTS, 0, 2, b"a", None), Record(ACCOUNTS, 0, 3, b"never there", None)]
    await wait_out(dsn, STATEMENTS, fault, written, deletions)
    assert await query(dsn, "SELECT tenant_id FROM credits.accounts") == [("b",)]


PRIVILEGES = {
    "of the rows": "INSERT ON audit.entries",
    "of reading what is there": "SELECT ON audit.entries",
    "of making months": "EXECUTE ON FUNCTION audit.make_partition(date)",
    "of the positions": "UPDATE ON shieldx.positions",
    "of the schema": "USAGE ON SCHEMA audit",
}


@pytest.mark.parametrize("privilege", PRIVILEGES.values(), ids=list(PRIVILEGES))
async def test_a_privilege_that_was_lost_is_waited_for(dsn: str, privilege: str) -> None:
    name = f"sink_{uuid4().hex}"
    entries = chain(30, step_ms=2 * DAY_MS)  # the second batch needs another month
    async with role(dsn, name) as user:
        await grant(dsn, name)
        async with pool(user) as database:
            await (await started(MIRROR, database)).process(records(entries)[:10])
            await query(dsn, f"REVOKE {privilege} FROM {name}")
            for _ in range(2):
                task = await started(MIRROR, database)
                with pytest.raises(MendPostgres, match=r"lacks a privilege that docs/how-to/postgres\.md lists"):
                    await task.process(records(entries)[10:])
            await query(dsn, f"GRANT {privilege} TO {name}")
            await (await started(MIRROR, database)).process(records(entries)[10:])
        assert await mirrored(dsn) == entries
        assert await query(dsn, SET_ASIDE) == []


async def test_a_month_that_was_dropped_is_made_again_for_what_follows(dsn: str) -> None:
    entries = chain(40)
    async with pool(dsn) as database:
        task = await started(MIRROR, database)
        await task.process(records(entries)[:20])
        await query(dsn, f"DROP TABLE {JANUARY}")
        await task.process(records(entries)[20:])
    assert await mirrored(dsn) == entries[20:]
    assert await query(dsn, SET_ASIDE) == []


async def test_a_fault_does_not_hide_a_record_that_cannot_be_stored(dsn: str) -> None:
    entries = chain(20)
    alien = record(3, entry(3, outcome="denied"))._replace(value=b"{}")
    fault = ENTRIES["a check"]
    written = [*records(entries)[:3], alien, *records(entries)[4:]]
    await query(dsn, "ALTER TABLE audit.entries ADD CONSTRAINT foreign_check CHECK (sequence < 10)")
    async with pool(dsn) as database:
        task = await started(MIRROR, database)
        with pytest.raises(MendPostgres):
            await task.process(written)
        assert await query(dsn, SET_ASIDE) == [], "nothing of the batch is there yet"
        await execute(dsn, fault.mended_by)
        await (await started(MIRROR, database)).process(written)
    assert await mirrored(dsn) == [*entries[:3], *entries[4:]]
    assert [offset for offset, _ in await query(dsn, SET_ASIDE)] == [3]


async def test_no_constraint_of_the_migrations_depends_on_what_a_record_says(dsn: str) -> None:
    """What Postgres refuses once the values fit their columns is therefore no record's fault (decision 0022)."""
    constraints = await query(
        dsn,
        "SELECT conname FROM pg_constraint "
        "WHERE connamespace::regnamespace::text IN ('shieldx', 'credits', 'audit') AND contype NOT IN ('n', 'p')",
    )
    assert constraints == [("positions_next_offset_check",)]
    nullable = await query(
        dsn,
        "SELECT attname FROM pg_attribute WHERE attrelid = 'audit.entries'::regclass AND attnum > 0 AND NOT attnotnull",
    )
    assert {name for (name,) in nullable} == {"tenant_id", "actor", "source", "digest", "payload", "exact"}
