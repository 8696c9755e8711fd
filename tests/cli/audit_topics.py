"""An audit log on a broker as the audit agent writes it, with the markers of its transactions; damaged at one end."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from shieldx.domains.audit.entry import FORMAT, GENESIS, ROTATE, AuditEntry, rotation_subject, signed
from shieldx.domains.audit.head import Head
from shieldx.domains.audit.record import encode
from shieldx.domains.audit.tables import CHECKPOINTS, LOG
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.messages import Sealed, rfc3339

if TYPE_CHECKING:
    from shieldx.bootstrap.platform import Platform

SHARDS = 3
ENTRIES = 240
"""Entries of each shard except the last one, which has some more and damaged ones among them."""
ROTATION = 100
DAMAGED = 2
KEYS = {"k1": b"1" * 32, "k2": b"2" * 32}
AT_MS = 1_767_268_800_000
"""Noon of the first of January 2026."""
TENANTS = [
    next(name for name in (f"acme-{number}" for number in range(1000)) if home_partition(name, SHARDS) == shard)
    for shard in range(SHARDS)
]
SEALED = msgspec.json.encode(
    Sealed(sealed="A256GCM/1", key_id="user/7", nonce=b"n" * 12, ciphertext=b"c" * 40)
).decode()
PAYLOADS = ('{"n": 1.50, "text": "\\u001b"}', SEALED, None)

Record = tuple[str, bytes | None]


def entry(sequence: int, prev_hash: str, *, shard: int, key_id: str) -> AuditEntry:
    """An entry with its own second of stream time."""
    rotates = sequence == ROTATION
    return signed(
        AuditEntry(
            format=FORMAT,
            shard=shard,
            sequence=sequence,
            at=rfc3339(AT_MS + 1000 * (SHARDS * sequence + shard)),
            tenant_id=None if rotates else TENANTS[shard],
            actor=None if sequence % 4 == 3 else f"alice\x1b[2J{sequence % 4}",
            action=ROTATE if rotates else "credits.purchase" if sequence % 40 == 0 else "user.login",
            subject=rotation_subject("k2") if rotates else f"user/{sequence % 5}",
            outcome="ok" if sequence % 3 else "denied",
            idempotency_key=f"{shard}-{sequence}",
            occurred_at="",
            source=None,
            digest=None,
            payload=PAYLOADS[sequence % 3],
            input=f"audit.appends/{shard}/{sequence}",
            key_id=key_id,
            prev_hash=prev_hash,
            hash="",
            mac="",
        ),
        KEYS,
    )


@cache
def chain(shard: int) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    prev_hash, key_id = GENESIS, "k1"
    for sequence in range(ENTRIES + 5 if shard == DAMAGED else ENTRIES):
        entries.append(entry(sequence, prev_hash, shard=shard, key_id=key_id))
        prev_hash, key_id = entries[-1].hash, entries[-1].next_key_id
    return entries


def everything() -> list[AuditEntry]:
    """All entries except those in damaged records, in the order of stream time."""
    whole = [each for shard in range(SHARDS) for each in chain(shard)[:ENTRIES]]
    return sorted([*whole, chain(DAMAGED)[-1]], key=lambda each: each.at)


def record(of: AuditEntry) -> Record:
    return f"{of.shard}/{of.sequence}", encode(of)


def damaged() -> list[Record]:
    """Replacements for five entries: none, rubbish, one with a wrong key, one with several lines, and a duplicate."""
    *_, _, _, misplaced, long, last = chain(DAMAGED)
    return [
        (f"{DAMAGED}/{ENTRIES}", None),
        (f"{DAMAGED}/{ENTRIES + 1}", b"\x00rubbish"),
        (f"{DAMAGED}/7", encode(misplaced)),
        (record(long)[0], msgspec.json.format(encode(long), indent=1)),
        record(chain(DAMAGED)[5]),
        record(last),
    ]


def head(shard: int) -> bytes:
    return encode(Head.of(chain(shard)[-1]).signed(KEYS))


async def write(platform: Platform) -> None:
    """Recreate the topics, and write everything that this module defines, two entries per shard and transaction."""
    topics = {name: platform.topics[name] for name in (LOG, CHECKPOINTS)}
    await delete(platform)
    await platform.topic_admin.create(topics, partitions=SHARDS, replication=1)
    async with AIOKafkaProducer(**platform.connection, transactional_id="audit-topics") as producer:
        for begin in range(0, ENTRIES, 2):
            async with producer.transaction():
                for shard in range(SHARDS):
                    await send(producer, shard, *map(record, chain(shard)[begin : begin + 2]))
            if begin % 80 == 0:
                await producer.begin_transaction()
                await send(producer, 0, ("0/0", b"of a transaction that was given up"))
                await producer.abort_transaction()
        async with producer.transaction():
            await send(producer, DAMAGED, *damaged())
            for shard in range(SHARDS):
                older = Head.of(chain(shard)[3]).signed(KEYS)
                for value in (encode(older), head(shard)):
                    await producer.send(CHECKPOINTS, value, key=str(shard).encode(), partition=shard)


async def send(producer: AIOKafkaProducer, shard: int, *records: Record) -> None:
    for key, value in records:
        await producer.send(LOG, value, key=key.encode(), partition=shard)


async def delete(platform: Platform) -> None:
    """Delete the topics, which other tests may have left too, and return when they are gone."""
    names = (LOG, CHECKPOINTS)
    there = await platform.topic_admin.describe(names)
    admin = AIOKafkaAdminClient(**platform.connection)
    await admin.start()
    try:
        if there:
            await admin.delete_topics(list(there))
    finally:
        await admin.close()
    while await platform.topic_admin.describe(names):  # noqa: ASYNC110 - the broker tells nobody
        await asyncio.sleep(0.05)
