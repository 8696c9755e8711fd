"""A small intact audit log from the audit agent: on a broker with its heads, and mirrored in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import msgspec
from aiokafka import AIOKafkaProducer

from shieldx.domains.audit.messages import Rotate
from shieldx.domains.audit.projections import COLUMNS, KEY, rows
from shieldx.domains.audit.tables import APPENDS, CHECKPOINTS, LOG, ROTATIONS
from tests.cli.audit_topics import SHARDS, TENANTS, delete
from tests.domains.audit.signing import AT, append, driver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.bootstrap.platform import Platform

Record = tuple[int, bytes, bytes]
"""Partition, key and value."""
ENTRIES = 12
"""Entries of each shard."""
LAST = ENTRIES - 1
ROTATION = 5
ADD_POSITION = """
INSERT INTO shieldx.positions (sink, topic, partition, next_offset, cluster_id, record_at)
VALUES ('audit-mirror', 'audit.log', $1, $2, 'one', '2026-01-01T13:00:00Z')
"""


class Shard(NamedTuple):
    """Records by sequence: key and value in the log, and the head after each entry."""

    entries: list[tuple[bytes, bytes]]
    heads: list[bytes]


async def whole_log() -> list[Shard]:
    """The agent's output for some appends and a rotation. It stores a head after every entry."""
    ran = driver(SHARDS)
    for number in range(ENTRIES):
        for shard, tenant_id in enumerate(TENANTS):
            if number == ROTATION:
                rotation = Rotate(partition=shard, key_id="k2", actor="olga", at=AT)
                ran.send(ROTATIONS, rotation, key=None, partition=shard)
            else:
                ran.send(APPENDS, append(f"{number}", tenant_id, payload=msgspec.Raw(b'{ "n": 1.50 }')))
        await ran.run()
        ran.advance(1000)
    log, heads = ran.read(LOG), ran.read(CHECKPOINTS)
    return [
        Shard(
            [(each.key, each.value) for each in log if each.partition == shard and each.key and each.value],
            [each.value for each in heads if each.partition == shard and each.value],
        )
        for shard in range(SHARDS)
    ]


async def write(platform: Platform, log: list[Shard], *, entries: int = ENTRIES, heads: int = ENTRIES) -> list[int]:
    """Recreate both topics with some entries and heads of each shard. Returns the positions of a mirror of it."""
    await delete(platform)
    await _make(platform, CHECKPOINTS, SHARDS)
    async with AIOKafkaProducer(**platform.connection) as producer:
        for shard, of in enumerate(log):
            for head in of.heads[:heads]:
                await producer.send(CHECKPOINTS, head, key=b"%d" % shard, partition=shard)
    return await write_log(platform, log, LOG, entries=entries)


async def write_log(
    platform: Platform, log: list[Shard], topic: str, *, entries: int = ENTRIES, more: Sequence[Record] = ()
) -> list[int]:
    """Create a topic with one partition per shard, and write some entries of each. Returns the positions of a mirror.

    An aborted transaction follows the entries, so that offsets continue where there are no entries.
    """
    await _make(platform, topic, len(log))
    positions = []
    async with AIOKafkaProducer(**platform.connection, transactional_id="whole-log") as producer:
        async with producer.transaction():
            for shard, of in enumerate(log):
                sent = [await producer.send(topic, value, key, shard) for key, value in of.entries[:entries]]
                positions.append((await sent[-1]).offset + 1)
            for shard, key, value in more:
                await producer.send(topic, value, key, shard)
        await producer.begin_transaction()
        for shard in range(len(log)):
            await producer.send(topic, b"of a transaction that was given up", b"0/0", shard)
        await producer.abort_transaction()
    return positions


async def _make(platform: Platform, name: str, partitions: int) -> None:
    topic = platform.topics.get(name, platform.topics[LOG])
    await platform.topic_admin.create({name: topic}, partitions=partitions, replication=1)


async def fill_mirror(dsn: str, log: list[Shard], positions: list[int]) -> None:
    """Write all entries to Postgres, as a mirror at these positions has them."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT audit.make_partition('2026-01-01')")
        mirrored = [_row(shard, *entry) for shard, of in enumerate(log) for entry in of.entries]
        await connection.copy_records_to_table(
            "entries", schema_name="audit", columns=[*KEY, *COLUMNS], records=mirrored
        )
        await connection.executemany(ADD_POSITION, list(enumerate(positions)))
    finally:
        await connection.close()


def _row(shard: int, key: bytes, value: bytes) -> tuple[Any, ...]:
    ((_, numbers, columns),) = rows(LOG, shard, 0, key, value)
    return (*numbers, *columns)
