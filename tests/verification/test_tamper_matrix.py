"""Every tampering with a log is found and located, wherever the log is stored, and nothing else is."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shieldx.domains.audit.joining import SeenHead, Verdict
from shieldx.domains.audit.manifest import Filter, LastLine, Manifest, ShardPart
from shieldx.domains.audit.projections import COLUMNS, KEY
from shieldx.domains.audit.record import encode
from shieldx.settings import Settings
from shieldx.verification.export_file import line_number
from shieldx.verification.heads import Heads
from shieldx.verification.kafka_log import kafka_segments
from shieldx.verification.postgres_log import postgres_segments
from shieldx.verification.verify import Verifier
from tests.databases import new_database
from tests.verification.tamperings import (
    EDITED,
    ENTRIES,
    EXPORT,
    KAFKA,
    KEYS,
    POSTGRES,
    TAMPERINGS,
    Found,
    chain,
    entry_in,
    expected,
    row_of,
    tampered,
)

if TYPE_CHECKING:
    from pathlib import Path

TOPIC = "tampered.log"
MALFORMED_LINES = [
    shard
    for shard, each in enumerate(TAMPERINGS)
    if ("malformed", EDITED, EDITED) in each.breaks.get(KAFKA, ()) and EXPORT in each.breaks
]
"""Shards with an invalid line: in an export its break names only the line."""


def verifier(jobs: int = 1) -> Verifier:
    return Verifier(KEYS, jobs=jobs, progress=lambda _done, _total: None)


def seen_heads() -> list[SeenHead]:
    return [
        SeenHead(shard, tampering.head, entry_in(chain(shard)[tampering.head]).hash, "a file")
        for shard, tampering in enumerate(TAMPERINGS)
        if tampering.head is not None
    ]


def found_in(verdict: Verdict) -> list[Found]:
    return sorted(
        (each.kind.value, each.shard, each.first, each.last)
        for each in verdict.breaks
        if each.shard is not None and each.first is not None and each.last is not None
    )


@pytest.mark.integration
@pytest.mark.parametrize("jobs", [1, 3])
async def test_in_kafka(kafka: str, jobs: int) -> None:
    topic = f"{TOPIC}.{jobs}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, len(TAMPERINGS), 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    for shard, records in enumerate(tampered(KAFKA)):
        for key, value in records:
            await producer.send(topic, value, key=key, partition=shard)
    await producer.stop()

    segments = await kafka_segments(Settings(), kafka, topic, len(TAMPERINGS))
    verdict = await verifier(jobs).log(segments, Heads(seen_heads(), []))
    assert found_in(verdict) == expected(KAFKA)
    assert len(verdict.breaks) == len(expected(KAFKA)), "all of them name an entry"
    (edited,) = [each for each in verdict.breaks if each.shard == 0]
    assert edited.place == edited.first, "its offset in the partition"


@pytest.mark.integration
async def test_in_postgres(postgres: str) -> None:
    async with new_database(postgres) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute("SELECT audit.make_partition('2026-01-01')")
        rows = [
            tuple(row_of(entry_in(record))[name] for name in (*KEY, *COLUMNS))
            for shard in tampered(POSTGRES)
            for record in shard
            if b'"format":2' not in (record[1] or b"")
        ]
        rows.append(_of_another_format())
        await connection.copy_records_to_table("entries", schema_name="audit", columns=[*KEY, *COLUMNS], records=rows)
        await connection.close()
        verdict = await verifier().log(await postgres_segments(dsn), Heads(seen_heads(), []))
    assert found_in(verdict) == expected(POSTGRES)
    assert len(verdict.breaks) == len(expected(POSTGRES))


def _of_another_format() -> tuple[object, ...]:
    number = next(number for number, each in enumerate(TAMPERINGS) if each.name == "edit of format")
    row = row_of(entry_in(chain(number)[8])) | {"format": 2}
    return tuple(row[name] for name in (*KEY, *COLUMNS))


def export(path: Path, shards: list[list[bytes]]) -> None:
    """A file with the manifest of the original log, but with lines that were tampered with."""
    whole = {shard: chain(shard) for shard in range(len(TAMPERINGS))}
    digest = sha256(b"".join(bytes.fromhex(entry_in(r).hash) for records in whole.values() for r in records))
    manifest = Manifest(
        filter=Filter(),
        shards={shard: ShardPart(entries=ENTRIES, sequences=((0, ENTRIES - 1),)) for shard in whole},
        digest=digest.hexdigest(),
        key_id="k1",
    ).signed(KEYS)
    lines = [line for shard in shards for line in shard]
    path.write_bytes(b"".join(line + b"\n" for line in [*lines, encode(LastLine(manifest))]))


@pytest.mark.parametrize("jobs", [1, 2])
async def test_in_an_export(tmp_path: Path, jobs: int) -> None:
    path = tmp_path / "audit.ndjson"
    shards = [[value or b"" for _, value in records] for records in tampered(EXPORT)]
    export(path, shards)
    verdict = await verifier(jobs).export(path, Heads(seen_heads(), []))
    assert found_in(verdict) == expected(EXPORT)
    whole_file = [each for each in verdict.breaks if each.shard is None]
    assert sorted(each.kind.value for each in whole_file) == ["malformed"] * len(MALFORMED_LINES) + ["manifest"]
    (edited,) = [each for each in verdict.breaks if each.shard == 0]
    assert edited.place is not None
    assert edited.first is not None
    assert line_number(path, edited.place) == edited.first + 1, "shard 0 is the first in the file"
    malformed = [line_number(path, each.place) for each in whole_file if each.place is not None]
    assert malformed == [sum(map(len, shards[:shard])) + EDITED + 1 for shard in MALFORMED_LINES]


async def test_an_export_as_it_was_written_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    export(path, [[value or b"" for _, value in chain(shard)] for shard in range(len(TAMPERINGS))])
    verdict = await verifier().export(path)
    assert verdict.is_whole
    assert verdict.entries == ENTRIES * len(TAMPERINGS)


async def test_an_export_without_its_end_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    export(path, [[value or b"" for _, value in chain(0)]])
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
    verdict = await verifier().export(path)
    (cut,) = verdict.breaks
    assert (cut.kind.value, "does not end with its manifest" in cut.detail) == ("manifest", True)


async def test_a_manifest_is_signed(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    export(path, [[value or b"" for _, value in chain(shard)] for shard in range(len(TAMPERINGS))])
    path.write_bytes(path.read_bytes().replace(b'"tenant_id":null,"from":null', b'"tenant_id":"acme","from":null'))
    (forged,) = (await verifier().export(path)).breaks
    assert (forged.kind.value, "not signed" in forged.detail) == ("manifest", True)
