"""`shieldx audit verify` on a log on a real broker, on its mirror in Postgres, and on exports of it."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from shieldx.bootstrap.platform import Platform
from shieldx.cli.committed_records import committed_consumer, committed_records
from shieldx.domains.audit.projections import COLUMNS, KEY, TABLE
from shieldx.domains.audit.tables import CHECKPOINTS, LOG
from shieldx.settings import load_settings
from tests.cli.audit_topics import KEYS, SHARDS, TENANTS, delete
from tests.cli.whole_log import ENTRIES, LAST, fill_mirror, whole_log, write, write_log
from tests.databases import copy, named, new_database, query
from tests.domains.audit.independent_verifier import expanded, verify_export, verify_records

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from click.testing import Result

    from tests.cli.whole_log import Shard
    from tests.domains.audit.independent_verifier import Record

    Shieldx = Callable[..., Result]
    Tamper = Callable[[list[bytes]], list[bytes]]

pytestmark = pytest.mark.integration

KEYRING = msgspec.json.encode({"first": "k1", "keys": KEYS}).decode()
KAFKA, POSTGRES = "audit.log in Kafka", "the mirror in Postgres"
SHARD, EDITED = 1, 7
"""The entry that most tests tamper with."""
LINE = SHARD * ENTRIES + EDITED
"""Its position among the lines of a complete export."""
LEFT = 9
"""How many entries of a shard are left after its tail was cut off."""
FURTHEST = 2**53 - 1
TIMEOUT_S = 60
"""The timeout for calls that would otherwise wait for an open transaction."""

Found = list[tuple[str, int | None, int | None, int | None]]
"""Kind, shard, first and last sequence."""
TRUNCATED: Found = [("truncated", shard, LEFT, LAST) for shard in range(SHARDS)]
NOT_FITTING: Found = [("manifest", None, None, None)]
NO_HEAD: Found = [("head", None, None, None)]


class Verified(NamedTuple):
    """The result of a verification."""

    exit_code: int
    logs: dict[str, Found]
    entries: list[int]
    details: set[str]
    places: list[str]


def verify(shieldx: Shieldx, *arguments: str) -> Verified:
    result = shieldx("audit", "verify", "--json", "--jobs", "1", *arguments)
    assert isinstance(result.exception, SystemExit | None), result.exception
    verdicts = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(verdict["whole"] is (verdict["breaks"] == []) for verdict in verdicts)
    breaks = [each for verdict in verdicts for each in verdict["breaks"]]
    return Verified(
        result.exit_code,
        {verdict["log"]: found_in(verdict) for verdict in verdicts},
        [verdict["entries"] for verdict in verdicts],
        {each["detail"] for each in breaks},
        [each["where"] for each in breaks if each["where"]],
    )


def found_in(verdict: dict[str, Any]) -> Found:
    return sorted((each["kind"], each["shard"], each["first"], each["last"]) for each in verdict["breaks"])


def here(kind: str, first: int | None, last: int | None) -> Found:
    return [(kind, SHARD, first, last)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made() -> list[Shard]:
    return await whole_log()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def written(kafka: str, made: list[Shard]) -> AsyncIterator[list[int]]:
    """The mirror's positions in the log on the broker. A test that changes the log restores it."""
    platform = Platform(load_settings({"SHIELDX_KAFKA_BOOTSTRAP": kafka}))
    yield await write(platform, made)
    await delete(platform)


@pytest.fixture
def log(kafka: str, written: list[int], stack_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The log, for commands in this process."""
    assert len(written) == SHARDS
    assert not stack_folder.exists()
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", kafka)
    monkeypatch.setenv("SHIELDX_AUDIT_KEYRING", KEYRING)
    return Platform(load_settings(os.environ))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mirrored(postgres: str, made: list[Shard], written: list[int]) -> AsyncIterator[str]:
    async with new_database(postgres) as dsn:
        await fill_mirror(dsn, made, written)
        yield dsn


@pytest_asyncio.fixture(loop_scope="session")
async def mirror(log: Platform, mirrored: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The address of a test's own mirror, which commands in this process use too."""
    assert not log.knows_postgres
    name = f"test_{uuid4().hex}"
    await copy(mirrored, urlsplit(mirrored).path.removeprefix("/"), name)
    monkeypatch.setenv("SHIELDX_POSTGRES_DSN", named(mirrored, name))
    yield named(mirrored, name)
    await query(named(mirrored, "postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def saved(log: Platform, shieldx: Shieldx, tmp_path: Path) -> Path:
    """The heads of the whole log, in a file."""
    assert log.embedded is False
    path = tmp_path / "heads.ndjson"
    assert shieldx("audit", "heads", "-o", str(path)).exit_code == 0
    return path


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize(
    ("arguments", "logs"),
    [((), [KAFKA, POSTGRES]), (("--only", "kafka"), [KAFKA]), (("--only", "postgres"), [POSTGRES])],
)
def test_a_log_and_its_mirror_are_whole(
    shieldx: Shieldx, saved: Path, arguments: tuple[str, ...], logs: list[str]
) -> None:
    whole: tuple[int, dict[str, Found], list[int]] = (0, {name: [] for name in logs}, [SHARDS * ENTRIES] * len(logs))
    assert verify(shieldx, *arguments)[:3] == whole
    assert verify(shieldx, *arguments, "--heads", str(saved))[:3] == whole


@pytest.mark.usefixtures("mirror")
def test_processes_side_by_side_come_to_the_same(shieldx: Shieldx) -> None:
    result = shieldx("audit", "verify", "--jobs", "2", "--json")
    assert result.exit_code == 0
    assert [json.loads(line)["entries"] for line in result.stdout.splitlines()] == [SHARDS * ENTRIES] * 2


@pytest.mark.usefixtures("mirror")
def test_the_mirror_by_itself_is_verified_without_kafka(shieldx: Shieldx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    assert verify(shieldx, "--only", "postgres")[:2] == (0, {POSTGRES: []})


async def test_a_record_that_the_mirror_has_set_aside_is_a_break_of_the_mirror(
    shieldx: Shieldx, mirror: str, tmp_path: Path
) -> None:
    metrics = tmp_path / "audit.prom"
    await query(
        mirror,
        "INSERT INTO shieldx.unreadable (sink, topic, partition, record_offset, reason) VALUES "
        "('audit-mirror', 'audit.log', $1, 3, 'ValueError: why'), ('credits-statements', 'credits.accounts', 0, 3, '')",
        SHARD,
    )
    found = await asyncio.to_thread(verify, shieldx, "--metrics-file", str(metrics))
    assert found[:2] == (1, {KAFKA: [], POSTGRES: here("set_aside", None, None)})
    assert found.details == {f"audit.log/{SHARD}/3: ValueError: why"}
    assert 'audit_verification_failures{kind="set_aside",log="the mirror in Postgres"} 1.0' in metrics.read_text()
    shown = await asyncio.to_thread(shieldx, "audit", "verify", "--only", "postgres")
    assert "BROKEN, 1 break" in shown.stdout or '"whole":false' in shown.stdout


# Changes to the mirror


def update(sequence: int, assignment: str) -> str:
    return f"UPDATE {TABLE} SET {assignment} WHERE shard = {SHARD} AND sequence = {sequence}"  # noqa: S608 - constants


def delete_from(sequence: int, to: int = LAST) -> str:
    return f"DELETE FROM {TABLE} WHERE shard = {SHARD} AND sequence BETWEEN {sequence} AND {to}"  # noqa: S608 - constants


def insert(sequence: int) -> str:
    """A copy of the last row of its shard with another sequence."""
    columns = ", ".join(COLUMNS)
    return (
        f"INSERT INTO {TABLE} ({', '.join(KEY)}, {columns}) "  # noqa: S608 - constants
        f"SELECT shard, {sequence}, {columns} FROM {TABLE} WHERE shard = {SHARD} AND sequence = {LAST}"
    )


async def as_owner(dsn: str, statement: str) -> None:
    """Do what only the table's owner can do: the triggers reject every change."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER USER")
        done = await connection.execute(statement)
        assert not done.endswith(" 0"), "it has changed something"
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        pytest.param(update(EDITED, "outcome = 'forged'"), here("hash", EDITED, EDITED), id="a row"),
        pytest.param(update(LAST, "actor = NULL"), here("hash", LAST, LAST), id="the last row"),
        pytest.param(
            update(LAST, "hash = sha256('forged')"),
            here("hash", LAST, LAST) + here("head", LAST, LAST) + here("mac", LAST, LAST),
            id="the hash of the last row",
        ),
        pytest.param(insert(1000), here("gap", ENTRIES, 999) + here("hash", 1000, 1000), id="a row more"),
        pytest.param(
            insert(ENTRIES), here("hash", ENTRIES, ENTRIES) + here("link", ENTRIES, ENTRIES), id="one behind the last"
        ),
        pytest.param(
            insert(FURTHEST),
            here("gap", ENTRIES, FURTHEST - 1) + here("hash", FURTHEST, FURTHEST),
            id="a row as far away as there can be one",
        ),
        pytest.param(delete_from(EDITED, to=EDITED), here("gap", EDITED, EDITED), id="a row less"),
        pytest.param(delete_from(LEFT), here("truncated", LEFT, LAST), id="no tail"),
        pytest.param(delete_from(0), here("truncated", 0, LAST), id="no shard"),
    ],
)
def test_changes_in_postgres_are_found_only_there(shieldx: Shieldx, mirror: str, statement: str, found: Found) -> None:
    asyncio.run(as_owner(mirror, statement))
    assert verify(shieldx)[:2] == (1, {KAFKA: [], POSTGRES: sorted(found)})


def test_a_row_is_located_by_shard_and_sequence(shieldx: Shieldx, mirror: str) -> None:
    asyncio.run(as_owner(mirror, update(EDITED, "outcome = 'forged'")))
    assert verify(shieldx, "--only", "postgres").places == [f"row {SHARD}/{EDITED}"]


def test_a_mirror_without_its_tail_is_found_by_saved_heads_without_kafka(
    shieldx: Shieldx, mirror: str, saved: Path
) -> None:
    asyncio.run(as_owner(mirror, delete_from(LEFT)))
    assert verify(shieldx, "--only", "postgres")[:2] == (0, {POSTGRES: []}), "alone it looks intact"
    found = here("truncated", LEFT, LAST)
    assert verify(shieldx, "--only", "postgres", "--heads", str(saved))[:2] == (1, {POSTGRES: found})


def test_positions_in_partitions_that_are_not_there_are_passed_over(shieldx: Shieldx, mirror: str) -> None:
    add = (
        "INSERT INTO shieldx.positions (sink, topic, partition, next_offset, cluster_id) "
        "VALUES ('audit-mirror', 'audit.log', 99, 7, 'one')"
    )
    asyncio.run(as_owner(mirror, add))
    assert verify(shieldx)[:2] == (0, {KAFKA: [], POSTGRES: []})


# Changes to the log


@contextmanager
def cut(log: Platform, made: list[Shard], *, heads: int) -> Iterator[None]:
    """Recreate the topics without the tails, and with only some of the heads."""
    asyncio.run(write(log, made, entries=LEFT, heads=heads))
    try:
        yield
    finally:
        asyncio.run(write(log, made))


@pytest.mark.usefixtures("mirror")
def test_a_truncated_log_is_found_by_a_saved_head(
    shieldx: Shieldx, log: Platform, made: list[Shard], saved: Path
) -> None:
    with cut(log, made, heads=LEFT):
        assert verify(shieldx, "--only", "kafka")[:2] == (0, {KAFKA: []}), "alone it looks intact"
        by_mirror = verify(shieldx)
        by_file = verify(shieldx, "--only", "kafka", "--heads", str(saved))
    assert by_mirror[:2] == (1, {KAFKA: TRUNCATED, POSTGRES: []})
    assert by_mirror.details == {"the mirror in Postgres has seen them"}
    assert by_file[:2] == (1, {KAFKA: TRUNCATED})
    assert by_file.details == {f"line {number} of {saved} has seen them" for number in range(1, SHARDS + 1)}


@pytest.mark.usefixtures("mirror")
def test_a_log_without_its_tail_is_found_by_the_heads_that_the_agent_has_stored(
    shieldx: Shieldx, log: Platform, made: list[Shard]
) -> None:
    with cut(log, made, heads=ENTRIES):
        found = verify(shieldx, "--only", "kafka")
    assert found[:2] == (1, {KAFKA: TRUNCATED})
    assert all(detail.startswith(f"{CHECKPOINTS}/") for detail in found.details)


@pytest.mark.usefixtures("log")
def test_a_record_as_far_away_as_there_can_be_one_is_found(shieldx: Shieldx, made: list[Shard], log: Platform) -> None:
    key, value = made[SHARD].entries[LAST]
    far = value.replace(b'"sequence":%d,' % LAST, b'"sequence":%d,' % FURTHEST)
    asyncio.run(write_log(log, made, "test.far", more=[(SHARD, key.replace(b"%d" % LAST, b"%d" % FURTHEST), far)]))
    found = verify(shieldx, "--only", "kafka", "--topic", "test.far")
    expected = here("gap", ENTRIES, FURTHEST - 1) + here("hash", FURTHEST, FURTHEST)
    assert found[:2] == (1, {"test.far in Kafka": sorted(expected)})


@pytest.mark.usefixtures("mirror")
def test_a_log_without_partitions_that_the_mirror_has_is_truncated(
    shieldx: Shieldx, log: Platform, made: list[Shard]
) -> None:
    asyncio.run(write_log(log, made[:SHARD], "test.narrow"))
    found = verify(shieldx, "--topic", "test.narrow")
    expected = [("truncated", shard, 0, LAST) for shard in range(SHARD, SHARDS)]
    assert found[:2] == (1, {"test.narrow in Kafka": expected, POSTGRES: []})


@pytest.mark.usefixtures("mirror")
async def test_an_open_transaction_is_not_waited_for(shieldx: Shieldx, log: Platform, made: list[Shard]) -> None:
    async with AIOKafkaProducer(**log.connection, transactional_id="open", transaction_timeout_ms=300_000) as producer:
        await producer.begin_transaction()
        for topic in (LOG, CHECKPOINTS):
            for shard in range(SHARDS):
                await producer.send(topic, b"not committed", key=b"%d" % shard, partition=shard)
        await producer.flush()
        verifying = asyncio.create_task(asyncio.to_thread(verify, shieldx))
        ended, _ = await asyncio.wait([verifying], timeout=TIMEOUT_S)
        await producer.abort_transaction()
    assert (await verifying)[:3] == (0, {KAFKA: [], POSTGRES: []}, [len(made) * ENTRIES] * 2)
    assert ended, "while the transaction was open"


@pytest.mark.usefixtures("mirror")
def test_a_missing_topic_is_reported(shieldx: Shieldx) -> None:
    result = shieldx("audit", "verify", "--topic", "audit.lgo")
    assert result.exit_code == 2
    assert "topic 'audit.lgo' does not exist; run `shieldx topics create`" in result.stderr


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("partitions", ["1", "24"])
def test_all_partitions_are_read_whatever_the_settings_say(
    shieldx: Shieldx, monkeypatch: pytest.MonkeyPatch, partitions: str
) -> None:
    monkeypatch.setenv("SHIELDX_PARTITIONS", partitions)
    assert verify(shieldx)[:3] == (0, {KAFKA: [], POSTGRES: []}, [SHARDS * ENTRIES] * 2)


# Forged heads


def forged(made: list[Shard]) -> bytes:
    return made[SHARD].heads[LAST].replace(b'"sequence":%d' % LAST, b'"sequence":%d' % (LAST + 9))


HEADS = [
    pytest.param(forged, here("head", LAST + 9, LAST + 9), "was not signed by this log", id="forged"),
    pytest.param(lambda _: b'{"\xff":1}', here("head", None, None), "is not a head", id="rubbish"),
]


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize(
    ("head", "found", "detail"),
    [
        *HEADS,
        pytest.param(lambda _: None, here("head", None, None), "is not a head", id="deleted"),
        pytest.param(
            lambda made: made[0].heads[LAST], [("head", 0, LAST, LAST)], "is another shard's head", id="of another"
        ),
    ],
)
def test_a_forged_head_in_its_topic_is_a_break(
    shieldx: Shieldx,
    log: Platform,
    made: list[Shard],
    tmp_path: Path,
    head: Callable[[list[Shard]], bytes | None],
    found: Found,
    detail: str,
) -> None:
    metrics = tmp_path / "audit.prom"
    asyncio.run(store_head(log, head(made)))
    try:
        verified = verify(shieldx, "--metrics-file", str(metrics))
    finally:
        asyncio.run(store_head(log, made[SHARD].heads[LAST]))
    assert verified[:2] == (1, {KAFKA: found, POSTGRES: []})
    assert all(detail in each for each in verified.details)
    lines = metrics.read_text().splitlines()
    assert f'audit_verification_failures{{kind="head",log="{KAFKA}"}} 1.0' in lines
    assert f'audit_verification_failures{{kind="head",log="{POSTGRES}"}} 0.0' in lines


async def store_head(platform: Platform, value: bytes | None) -> None:
    async with AIOKafkaProducer(**platform.connection) as producer:
        await producer.send_and_wait(CHECKPOINTS, value, key=b"%d" % SHARD, partition=SHARD)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(("head", "found", "detail"), HEADS)
def test_a_forged_head_in_a_file_is_a_break(
    shieldx: Shieldx, made: list[Shard], saved: Path, head: Callable[[list[Shard]], bytes], found: Found, detail: str
) -> None:
    with saved.open("ab") as file:
        file.write(head(made) + b"\n")
    verified = verify(shieldx, "--only", "kafka", "--heads", str(saved))
    expected = [(kind, shard if first else None, first, last) for kind, shard, first, last in found]
    assert verified[:2] == (1, {KAFKA: expected})
    assert [detail in each for each in verified.details] == [True]
    assert f"line {SHARDS + 1} of {saved}" in "".join(verified.details)


@pytest.mark.usefixtures("log")
def test_a_file_without_a_head_is_a_break(shieldx: Shieldx, tmp_path: Path) -> None:
    path = tmp_path / "heads.ndjson"
    path.touch()
    assert verify(shieldx, "--only", "kafka", "--heads", str(path))[:2] == (1, {KAFKA: NO_HEAD})
    missing = shieldx("audit", "verify", "--only", "kafka", "--heads", str(tmp_path / "nowhere"))
    assert (missing.exit_code, f"cannot read {tmp_path / 'nowhere'}" in missing.stderr) == (1, True)


# Exports and the log itself, checked by both verifiers


def export(shieldx: Shieldx, folder: Path, *arguments: str) -> Path:
    path = folder / "audit.ndjson"
    assert shieldx("audit", "export", "-o", str(path), *arguments).exit_code == 0
    return path


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize(
    ("arguments", "entries"),
    [
        ((), SHARDS * ENTRIES),
        (("--source", "postgres"), SHARDS * ENTRIES),
        (("--tenant", TENANTS[SHARD]), ENTRIES - 1),  # the rotation has no tenant
        (("--from", "2026-01-01T12:00:03Z", "--to", "2026-01-01T12:00:08Z"), SHARDS * 5),
    ],
)
def test_an_export_is_whole(
    shieldx: Shieldx, tmp_path: Path, saved: Path, arguments: tuple[str, ...], entries: int
) -> None:
    path = export(shieldx, tmp_path, *arguments)
    assert verify(shieldx, "--file", str(path), "--heads", str(saved))[:3] == (0, {str(path): []}, [entries])
    assert verify_export(path.read_bytes(), KEYS, saved.read_bytes().splitlines()) == []


def on_line(number: int, old: bytes, new: bytes) -> Tamper:
    def tamper(lines: list[bytes]) -> list[bytes]:
        assert old in lines[number]
        lines[number] = lines[number].replace(old, new)
        return lines

    return tamper


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("tamper", "found", "places"),
    [
        pytest.param(
            on_line(LINE, b'"outcome":"ok"', b'"outcome":"no"'),
            here("hash", EDITED, EDITED),
            [f"line {LINE + 1}"],
            id="a line edited",
        ),
        pytest.param(
            lambda lines: lines[:LINE] + lines[LINE + 1 :],
            here("gap", EDITED, EDITED) + NOT_FITTING,
            [],
            id="a line deleted",
        ),
        pytest.param(
            lambda lines: [*lines[:LINE], lines[LINE + 1], lines[LINE], *lines[LINE + 2 :]],
            NOT_FITTING + here("order", EDITED, EDITED),
            [f"line {LINE + 2}"],
            id="two lines swapped",
        ),
        pytest.param(
            on_line(LINE, b"{", b"{{"),
            [*here("gap", EDITED, EDITED), ("malformed", None, None, None), *NOT_FITTING],
            [f"line {LINE + 1}"],
            id="no JSON",
        ),
        pytest.param(on_line(-1, b'"tenant_id":null', b'"tenant_id":"acme"'), NOT_FITTING, [], id="another filter"),
        pytest.param(on_line(-1, b'"key_id":"k2"', b'"key_id":"k9"'), NOT_FITTING, [], id="a key that nobody has"),
        pytest.param(lambda lines: lines[:-1], NOT_FITTING, [], id="no manifest"),
    ],
)
def test_both_verifiers_find_the_same_in_an_export(
    shieldx: Shieldx, tmp_path: Path, tamper: Tamper, found: Found, places: list[str]
) -> None:
    path = export(shieldx, tmp_path)
    path.write_bytes(b"".join(tamper(path.read_bytes().splitlines(keepends=True))))
    verified = verify(shieldx, "--file", str(path))
    assert verified[:2] == (1, {str(path): found})
    assert verified.places == places
    assert set(verify_export(path.read_bytes(), KEYS)) == set(expanded(found))


def test_the_log_on_the_broker_is_whole_to_a_verifier_that_knows_its_format_only(log: Platform) -> None:
    records, heads = asyncio.run(read(log))
    assert len(records) == SHARDS * ENTRIES
    in_force = {key: value for _, key, value in heads}
    assert verify_records(records, KEYS, [value or b"" for value in in_force.values()]) == []


async def read(platform: Platform) -> list[list[Record]]:
    async with committed_consumer(platform) as consumer:
        return [
            [(each.partition, each.key, each.value) async for each in committed_records(consumer, topic, range(SHARDS))]
            for topic in (LOG, CHECKPOINTS)
        ]
