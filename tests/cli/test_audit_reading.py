"""Reading an audit log on a real broker and from a real mirror."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from shieldx.bootstrap.platform import Platform
from shieldx.cli.audit.criteria import Criteria
from shieldx.cli.audit.entry_id import EntryId
from shieldx.cli.audit.entry_in_kafka import find_entry
from shieldx.cli.audit.export_sources import in_kafka
from shieldx.cli.audit.tail import FIRST_STEP_OFFSETS, last_entries
from shieldx.cli.committed_records import committed_consumer, ranges_of
from shieldx.domains.audit.breaks import Breaks
from shieldx.domains.audit.entry import AuditEntry
from shieldx.domains.audit.manifest import Filter, LastLine
from shieldx.domains.audit.projections import COLUMNS, KEY, rows
from shieldx.domains.audit.record import encode
from shieldx.domains.audit.tables import CHECKPOINTS, LOG
from shieldx.settings import load_settings
from shieldx.verification.heads import read_heads
from shieldx.verification.verify import Verifier
from tests import programs
from tests.cli.audit_topics import (
    DAMAGED,
    ENTRIES,
    KEYS,
    ROTATION,
    SHARDS,
    TENANTS,
    chain,
    delete,
    everything,
    head,
    record,
    send,
    write,
)
from tests.databases import new_database, query

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from click.testing import Result

    from shieldx.cli.audit.entry_in_kafka import FoundEntry
    from shieldx.cli.audit.export_sources import Candidate
    from shieldx.domains.audit.breaks import Break

    Shieldx = Callable[..., Result]

pytestmark = pytest.mark.integration

SHIELDX = Path(sys.executable).parent / "shieldx"
KEYRING = msgspec.json.encode({"first": "k1", "keys": KEYS}).decode()
TIMEOUT_S = 60
EDITED = EntryId(0, 7)
MIRRORED = 200
"""Entries of each shard in the mirror."""
LEFT_OUT = ["240 tombstone", "241 malformed", "242 misplaced", "243 malformed", "5 order"]
"""Sequences and kinds of the records in `damaged`."""
ADD_POSITION = """
INSERT INTO shieldx.positions (sink, topic, partition, next_offset, cluster_id, record_at)
VALUES ('audit-mirror', 'audit.log', $1, $2, 'one', '2026-01-01T13:00:00Z')
"""
SET_ASIDE = """
INSERT INTO shieldx.unreadable (sink, topic, partition, record_offset, reason)
VALUES ('audit-mirror', 'audit.log', 1, 3, '')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def written(kafka: str) -> AsyncIterator[str]:
    """The address of a broker with the damaged log of `audit_topics`; the topics are deleted afterwards."""
    platform = Platform(load_settings({"SHIELDX_KAFKA_BOOTSTRAP": kafka}))
    await write(platform)
    yield kafka
    await delete(platform)


@pytest.fixture
def log(written: str, stack_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The same for commands in this process."""
    assert not stack_folder.exists()
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", written)
    monkeypatch.setenv("SHIELDX_AUDIT_KEYRING", KEYRING)
    return Platform(load_settings(os.environ))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mirrored(written: str, postgres: str) -> AsyncIterator[str]:
    """The address of a mirror that lags and that contains an edited entry."""
    async with new_database(postgres) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute("SELECT audit.make_partition('2026-01-01')")
        entries = [each for shard in range(SHARDS) for each in chain(shard)[:MIRRORED]]
        edited = [
            msgspec.structs.replace(each, outcome="edited") if (each.shard, each.sequence) == EDITED else each
            for each in entries
        ]
        await connection.copy_records_to_table(
            "entries", schema_name="audit", columns=[*KEY, *COLUMNS], records=[_row(each) for each in edited]
        )
        async with committed_consumer(Platform(load_settings({"SHIELDX_KAFKA_BOOTSTRAP": written}))) as consumer:
            for shard in range(SHARDS):
                last = await find_entry(consumer, EntryId(shard, MIRRORED - 1))
                assert last is not None
                await connection.execute(ADD_POSITION, shard, last.offset + 1)
        await connection.close()
        yield dsn


@pytest.fixture
def mirror(log: Platform, mirrored: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same for commands in this process."""
    assert log.knows_postgres is False
    monkeypatch.setenv("SHIELDX_POSTGRES_DSN", mirrored)
    return mirrored


def _row(entry: AuditEntry) -> tuple[Any, ...]:
    ((_, key, columns),) = rows(LOG, entry.shard, 0, f"{entry.shard}/{entry.sequence}".encode(), encode(entry))
    return (*key, *columns)


def entries_in(result: Result) -> list[AuditEntry]:
    return [msgspec.json.decode(text, type=AuditEntry) for text in result.stdout.splitlines()]


def readable() -> list[AuditEntry]:
    """What `tail` accepts as entries, including those with a wrong key or with line feeds."""
    repeated = [each for each in chain(DAMAGED) if each.sequence in (5, ENTRIES + 2, ENTRIES + 3)]
    return sorted([*everything(), *repeated], key=lambda each: each.at)


@pytest.mark.usefixtures("log")
def test_the_last_entries_of_all_shards_come_in_the_order_of_log_time(shieldx: Shieldx) -> None:
    result = shieldx("audit", "tail", "-n", "9")
    assert result.exit_code == 0
    assert entries_in(result) == readable()[-9:]
    assert "is not an entry: a tombstone" in result.stderr


@pytest.mark.usefixtures("log")
def test_the_tail_is_chosen_by_tenant_actor_and_the_begin_of_an_action(shieldx: Shieldx) -> None:
    chosen = ("--tenant", TENANTS[0], "--actor", "alice\x1b[2J0", "--action", "credits.*")
    assert [each.sequence for each in entries_in(shieldx("audit", "tail", *chosen))] == [0, 40, 80, 120, 160, 200]
    assert [each.sequence for each in entries_in(shieldx("audit", "tail", *chosen, "-n", "1"))] == [200]
    assert shieldx("audit", "tail", "--action", "credits.").stdout == ""


@pytest.mark.usefixtures("log")
def test_all_entries_come_if_more_are_asked_for(shieldx: Shieldx) -> None:
    assert entries_in(shieldx("audit", "tail", "-n", "5000")) == readable()


def test_only_the_ends_of_the_partitions_are_read(log: Platform) -> None:
    assert asyncio.run(entries_looked_at(log, 5)) <= SHARDS * (5 + FIRST_STEP_OFFSETS)


async def entries_looked_at(platform: Platform, count: int) -> int:
    """How many entries were read to find the last ones."""
    seen = []

    def wanted(entry: AuditEntry) -> bool:
        seen.append(entry)
        return True

    async with committed_consumer(platform) as consumer:
        await last_entries(consumer, await ranges_of(consumer, LOG, range(SHARDS)), count, wanted)
    return len(seen)


def test_each_entry_is_found_in_its_partition(log: Platform) -> None:
    asked = [EntryId(shard, sequence) for shard in (0, 1) for sequence in range(0, ENTRIES, 60)]
    found = asyncio.run(find(log, [*asked, EntryId(0, ENTRIES - 1)]))
    assert [(each.entry, each.key) for each in found if each is not None] == [
        (chain(shard)[sequence], f"{shard}/{sequence}".encode())
        for shard, sequence in [*asked, EntryId(0, ENTRIES - 1)]
    ]
    assert asyncio.run(find(log, [EntryId(0, ENTRIES), EntryId(DAMAGED, ENTRIES)])) == [None, None]


async def find(platform: Platform, asked: list[EntryId]) -> list[FoundEntry | None]:
    async with committed_consumer(platform) as consumer:
        return [await find_entry(consumer, each) for each in asked]


@pytest.mark.usefixtures("log")
def test_an_entry_from_kafka_is_verified(shieldx: Shieldx) -> None:
    shown = shieldx("audit", "show", "1/120")
    assert shown.exit_code == 0
    answer = json.loads(shown.stdout)
    assert msgspec.convert(answer["entry"], AuditEntry) == chain(1)[120]
    assert (answer["hash_is_right"], answer["mac_is_right"]) == (True, True)
    assert answer["read_from"].startswith("audit.log/1/")


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("keyring", "reason"),
    [
        (None, "no keyring is configured"),
        ({"first": "k1", "keys": {"k1": KEYS["k1"]}}, "key 'k2' is not in the keyring"),
        ({"first": "k1", "keys": {"k1": b"short"}}, "SHIELDX_AUDIT_KEYRING: key 'k1' has 5 bytes"),
    ],
)
def test_without_the_key_an_entry_is_shown_and_not_verified(
    shieldx: Shieldx, monkeypatch: pytest.MonkeyPatch, keyring: object, reason: str
) -> None:
    monkeypatch.delenv("SHIELDX_AUDIT_KEYRING")
    if keyring is not None:
        monkeypatch.setenv("SHIELDX_AUDIT_KEYRING", msgspec.json.encode(keyring).decode())
    shown = shieldx("audit", "show", "1/120")
    answer = json.loads(shown.stdout)
    assert (shown.exit_code, answer["mac_is_right"]) == (0, None)
    assert answer["reason"].startswith(reason)


@pytest.mark.usefixtures("log")
def test_another_secret_of_the_same_id_did_not_sign_it(shieldx: Shieldx, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = {"first": "k1", "keys": dict.fromkeys(KEYS, b"3" * 32)}
    monkeypatch.setenv("SHIELDX_AUDIT_KEYRING", msgspec.json.encode(keyring).decode())
    shown = shieldx("audit", "show", "1/120")
    answer = json.loads(shown.stdout)
    assert (shown.exit_code, answer["hash_is_right"], answer["mac_is_right"]) == (1, True, False)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"0/{ENTRIES}", f"0/{ENTRIES} does not exist: shard 0 ends at {ENTRIES - 1}, {chain(0)[-1].at}"),
        (f"{DAMAGED}/{ENTRIES}", f"was not found although shard {DAMAGED} ends at {ENTRIES + 4}"),
        (f"{SHARDS}/0", f"shard {SHARDS} does not exist: audit.log has shards 0 to {SHARDS - 1}"),
    ],
)
def test_a_missing_entry_is_reported_with_the_end_of_its_shard(shieldx: Shieldx, name: str, message: str) -> None:
    result = shieldx("audit", "show", name)
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.usefixtures("log")
def test_an_entry_under_the_key_of_another_is_shown_with_a_remark(shieldx: Shieldx) -> None:
    result = shieldx("audit", "show", f"{DAMAGED}/{ENTRIES + 2}")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["entry"]["idempotency_key"] == f"{DAMAGED}-{ENTRIES + 2}"
    assert "has the key or partition of another entry. Run `shieldx audit verify`" in result.stderr


@pytest.mark.usefixtures("mirror")
def test_an_entry_is_read_from_postgres_if_one_is_known(shieldx: Shieldx) -> None:
    for arguments, read_from in [((), "audit.entries"), (("--from", "kafka"), "audit.log/1/")]:
        answer = json.loads(shieldx("audit", "show", "1/120", *arguments).stdout)
        assert msgspec.convert(answer["entry"], AuditEntry) == chain(1)[120]
        assert answer["read_from"].startswith(read_from)


@pytest.mark.usefixtures("mirror")
def test_an_edit_in_postgres_breaks_the_hash(shieldx: Shieldx) -> None:
    edited, logged = shieldx("audit", "show", str(EDITED)), shieldx("audit", "show", str(EDITED), "--from", "kafka")
    assert (edited.exit_code, logged.exit_code) == (1, 0)
    answer = json.loads(edited.stdout)
    assert (answer["entry"]["outcome"], answer["hash_is_right"]) == ("edited", False)


@pytest.mark.usefixtures("mirror")
def test_an_entry_missing_from_the_mirror_is_reported_with_both_ends(shieldx: Shieldx) -> None:
    result = shieldx("audit", "show", f"1/{MIRRORED}")
    assert result.exit_code == 1
    assert f"which has shard 1 up to {MIRRORED - 1} and is " in result.stderr
    assert (
        " records behind the log; last applied 2026-01-01T13:00:00.000Z. Use --from kafka to read the log"
        in result.stderr
    )


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize(
    "criteria",
    [
        Criteria(tenant_id=TENANTS[1]),
        Criteria(actor="alice\x1b[2J1", action="user.*"),
        Criteria(action="credits.*"),
        Criteria(action="audit.rotate"),
        Criteria(action="credits"),
        Criteria(outcome="denied", subject="user/3"),
        Criteria(start=datetime(2026, 1, 1, 12, 5, 3, tzinfo=UTC), end=datetime(2026, 1, 1, 12, 6, 4, tzinfo=UTC)),
    ],
)
def test_a_search_finds_entries_that_match_all_criteria(shieldx: Shieldx, criteria: Criteria) -> None:
    mirrored = [each for shard in range(SHARDS) for each in chain(shard)[:MIRRORED] if (shard, each.sequence) != EDITED]
    expected = [each for each in sorted(mirrored, key=lambda each: each.at) if criteria.predicate()(each)]
    arguments = arguments_of(criteria)
    result = shieldx("audit", "search", "--limit", "1000", *arguments)
    assert result.exit_code == 0
    assert [each for each in entries_in(result) if each.outcome != "edited"] == expected
    last = shieldx("audit", "search", "--limit", "2", *arguments)
    assert entries_in(last) == expected[-2:]
    assert ("the last 2 entries; --limit shows more" in last.stderr) == (len(expected) > 2)


def arguments_of(criteria: Criteria) -> list[str]:
    options = {"tenant_id": "--tenant", "start": "--from", "end": "--to"}
    given = {name: value for name, value in criteria._asdict().items() if value is not None}
    return [text for name, value in given.items() for text in (options.get(name, f"--{name}"), str(value))]


def test_a_search_reports_the_lag_of_the_mirror(shieldx: Shieldx, mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    offsets = asyncio.run(offsets_behind(mirror))
    found = shieldx("audit", "search", "--tenant", TENANTS[0])
    assert f"the mirror is {offsets} records behind the log; last applied 2026-01-01T13:00:00.000Z" in found.stderr
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    unknown = shieldx("audit", "search", "--tenant", TENANTS[0])
    assert unknown.stdout == found.stdout
    assert "an unknown number of records behind the log, because Kafka does not respond" in unknown.stderr


@pytest.mark.parametrize(
    "command", [("search", "--tenant", TENANTS[0]), ("export", "--source", "postgres", "--tenant", TENANTS[0])]
)
def test_records_that_the_mirror_has_set_aside_are_counted_and_the_exit_code_is_1(
    shieldx: Shieldx, mirror: str, command: tuple[str, ...]
) -> None:
    lag = asyncio.run(offsets_behind(mirror))
    whole = shieldx("audit", *command)
    asyncio.run(query(mirror, SET_ASIDE))
    try:
        found = shieldx("audit", *command)
    finally:
        asyncio.run(query(mirror, "DELETE FROM shieldx.unreadable"))
    assert (whole.exit_code, found.exit_code) == (0, 1)
    assert found.stdout == whole.stdout
    assert f"the mirror is {lag + 1} records behind the log, 1 of them set aside in shieldx.unreadable" in found.stderr
    assert "1 record is set aside in shieldx.unreadable, so this may be incomplete" in found.stderr
    assert "set aside" not in whole.stderr


async def offsets_behind(dsn: str) -> int:
    """Offsets of the log that the mirror has not passed, including the markers of transactions."""
    async with committed_consumer(Platform(load_settings(os.environ))) as consumer:
        ends = await ranges_of(consumer, LOG, range(SHARDS))
    return sum(held.end for held in ends.values()) - sum(await positions(dsn))


async def positions(dsn: str) -> list[int]:
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch("SELECT next_offset FROM shieldx.positions")]
    finally:
        await connection.close()


@pytest.mark.usefixtures("log")
def test_an_export_of_a_tenant_is_whole_and_verbatim(shieldx: Shieldx, tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    span = ("--from", "2026-01-01T12:00:09Z", "--to", "2026-01-01T12:06:00Z")
    result = shieldx("audit", "export", "-o", str(path), "--tenant", TENANTS[0], *span)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "exported 116 entries" in result.stderr, "3 to 119, and the rotation has no tenant"
    *lines, last = path.read_bytes().splitlines()
    assert lines == [encode(each) for each in chain(0)[3:120] if each.tenant_id is not None]
    manifest = msgspec.json.decode(last, type=LastLine).manifest
    assert manifest.shards[0].sequences == ((3, ROTATION - 1), (ROTATION + 1, 119))
    assert manifest.key_id == "k2", "the current signing key"
    assert manifest.filter == Filter(
        tenant_id=TENANTS[0], start="2026-01-01T12:00:09.000Z", end="2026-01-01T12:06:00.000Z"
    )
    assert breaks_of(path) == []
    assert [found.name for found in tmp_path.iterdir()] == ["audit.ndjson"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert shieldx("audit", "export", "--tenant", TENANTS[0], *span).stdout_bytes == path.read_bytes()


def breaks_of(path: Path) -> list[Break]:
    verifier = Verifier(KEYS, jobs=1, progress=lambda _done, _total: None)
    return asyncio.run(verifier.export(path)).breaks


@pytest.mark.usefixtures("log")
def test_an_export_of_a_damaged_log_reports_what_it_skips(shieldx: Shieldx, tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    result = shieldx("audit", "export", "-o", str(path))
    assert result.exit_code == 1
    *lines, last = path.read_bytes().splitlines()
    whole = [each for shard in range(SHARDS) for each in chain(shard)[:ENTRIES]]
    assert lines == [encode(each) for each in [*whole, chain(DAMAGED)[-1]]]
    manifest = msgspec.json.decode(last, type=LastLine).manifest
    assert manifest.shards[DAMAGED].sequences == ((0, ENTRIES - 1), (ENTRIES + 4, ENTRIES + 4))
    assert manifest.shards[0].sequences == ((0, ENTRIES - 1),)
    left_out = re.findall(rf"^skipped {DAMAGED}/(\d+), at \d+: (\w+), ", result.stderr, re.MULTILINE)
    assert [" ".join(found) for found in left_out] == LEFT_OUT
    assert f"skipped {len(LEFT_OUT)} records that cannot be exported. Run `shieldx audit verify`" in result.stderr


@pytest.mark.usefixtures("mirror")
def test_an_export_from_postgres_is_that_from_kafka(shieldx: Shieldx, tmp_path: Path) -> None:
    chosen = ("--tenant", TENANTS[1], "--to", chain(1)[MIRRORED].at)
    log, mirrored = tmp_path / "log.ndjson", tmp_path / "mirror.ndjson"
    assert shieldx("audit", "export", "-o", str(log), *chosen).exit_code == 0
    result = shieldx("audit", "export", "-o", str(mirrored), "--source", "postgres", *chosen)
    assert (result.exit_code, mirrored.read_bytes()) == (0, log.read_bytes())
    assert "records behind the log" in result.stderr


@pytest.mark.usefixtures("mirror")
def test_an_export_from_postgres_needs_no_kafka(
    shieldx: Shieldx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    path = tmp_path / "audit.ndjson"
    result = shieldx("audit", "export", "-o", str(path), "--source", "postgres")
    assert result.exit_code == 0
    assert "signing with the keyring's first key 'k1'" in result.stderr
    assert [(each.kind.value, each.shard, each.first) for each in breaks_of(path)] == [("hash", *EDITED)]


@pytest.mark.usefixtures("log")
def test_an_export_without_a_keyring_does_not_start(
    shieldx: Shieldx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHIELDX_AUDIT_KEYRING")
    result = shieldx("audit", "export", "-o", str(tmp_path / "audit.ndjson"))
    assert result.exit_code == 2
    assert "the audit log's keys are not configured" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("log")
def test_the_heads_are_the_last_ones_that_were_stored(shieldx: Shieldx, tmp_path: Path) -> None:
    result = shieldx("audit", "heads")
    assert result.exit_code == 0
    assert result.stdout.encode().splitlines() == [head(shard) for shard in range(SHARDS)]
    path = tmp_path / "heads.ndjson"
    written = shieldx("audit", "heads", "-o", str(path))
    assert (path.read_bytes(), written.stdout) == (result.stdout.encode(), "")
    assert f"wrote {SHARDS} heads to {path}" in written.stderr
    assert [seen.sequence for seen in read_heads(path, KEYS)[0]] == [
        chain(shard)[-1].sequence for shard in range(SHARDS)
    ]


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (head(1).replace(b'"sequence":239', b'"sequence":1'), "was not signed by this log"),
        (head(1).replace(b"k2", b"k3"), "is signed with key 'k3', which is not in the keyring"),
        (head(0), "is another shard's head"),
        (b"[]", "is not a head (Expected `object`, got `array`)"),
        (None, "is not a head ("),
    ],
)
def test_a_head_that_is_of_no_use_is_left_out(
    shieldx: Shieldx, log: Platform, stored: bytes | None, reason: str
) -> None:
    asyncio.run(store_head(log, 1, stored))
    result = shieldx("audit", "heads")
    asyncio.run(store_head(log, 1, head(1)))
    assert result.exit_code == 1
    assert result.stdout.encode().splitlines() == [head(0), head(2)]
    assert re.search(rf"^audit.checkpoints/1/\d+ {re.escape(reason)}.*: skipped", result.stderr)


async def store_head(platform: Platform, shard: int, value: bytes | None) -> None:
    async with AIOKafkaProducer(**platform.connection) as producer:
        await producer.send_and_wait(CHECKPOINTS, value, key=str(shard).encode(), partition=shard)


def test_an_export_ends_where_the_log_ended_when_it_began(log: Platform) -> None:
    """Near the end of this module, since it adds to the log."""
    before, after = asyncio.run(exported_while_the_log_goes_on(log))
    assert [len(before), len(after)] == [ENTRIES, ENTRIES + 1]


async def exported_while_the_log_goes_on(platform: Platform) -> list[list[Candidate]]:
    found = []
    async with committed_consumer(platform) as consumer:
        begun = await ranges_of(consumer, LOG, [0])
        await append(platform, chain(0)[3])
        for ranges in (begun, await ranges_of(consumer, LOG, [0])):
            candidates = in_kafka(consumer, ranges, lambda _: True, Breaks(), lambda _done, _total: None)
            found.append([each async for each in candidates])
    return found


def test_follow_continues_where_the_tail_ended(log: Platform) -> None:
    """The last test of this module, since it adds to the log."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHIELDX_")}
    tail = programs.start(
        [SHIELDX, "audit", "tail", "-f", "-n", "1", "--tenant", TENANTS[1]],
        env=environment | {"SHIELDX_KAFKA_BOOTSTRAP": log.bootstrap},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert tail.stdout is not None
    assert json.loads(tail.stdout.readline())["sequence"] == ENTRIES - 1
    asyncio.run(append(log, chain(1)[ROTATION], chain(1)[3]))
    assert json.loads(tail.stdout.readline())["sequence"] == 3
    tail.send_signal(signal.SIGINT)
    _, errors = tail.communicate(timeout=TIMEOUT_S)
    assert (tail.returncode, errors) == (130, "")


async def append(platform: Platform, *entries: AuditEntry) -> None:
    async with AIOKafkaProducer(**platform.connection) as producer:
        await send(producer, entries[0].shard, *map(record, entries))
