"""Nothing in a topic stops a reader, nothing in it is passed over in silence, and every private name exists."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from shieldx.engine.kafka import aiokafka_fetcher
from shieldx.engine.kafka.aiokafka_fetcher import MAX_FETCHED_BYTES, MAX_FETCHED_RECORDS, Consumer, CorruptBatches
from shieldx.engine.kafka.clients import new_consumer, new_producer, started
from shieldx.engine.kafka.committed_range import read_ranges
from shieldx.engine.kafka.foreign_names import InstallSupportedVersion
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.kafka.record_batch import FetchedBatches
from shieldx.engine.tasks.log import TopicPartition as OwnTopicPartition
from shieldx.engine.tasks.log import UndecodedRecord
from tests.engine.kafka.raw_batches import (
    GZIP,
    LZ4,
    NONE,
    SNAPPY,
    ZSTD,
    RawRecord,
    batch,
    batch_of,
    encoded,
    nullable,
    produce,
    varint,
)
from tests.engine.kafka.test_aiokafka_internals import new_topic
from tests.lengths import length
from tests.private_names import overrides_without_mark, used_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.engine.tasks.log import Record

NOWHERE = "127.0.0.1:1"
GOOD = RawRecord(b"good", b"key", [(b"name", b"content")])
NOT_UTF_8 = RawRecord(b"value", b"key", [(b"tra\xffce", b"1")])
MEBIBYTE = 1_048_576
OUR_OWN = {
    "_batch",
    "_is_corrupt",
    "_legacy",
    "_made_fetcher",
    "_parsed",
    "_passed_over",
    "_plain",
    "_seen",
    "_state",
    "_undecoded",
}


def partition_records(raw: bytes = b"", *, begin: int = 0, corrupt: CorruptBatches | None = None) -> Any:
    return aiokafka_fetcher._CheckedRecords(  # noqa: SLF001 - the class under test
        TopicPartition("t", 0), FetchedBatches(raw), [], begin, None, None, corrupt or CorruptBatches(), 1
    )


def fetch_result() -> FetchResult:
    return FetchResult(TopicPartition("t", 0), assignment=None, partition_records=partition_records(), backoff=0)


def fetcher_names() -> SimpleNamespace:
    """What a fetcher has after it was made, without making one, which would run at once."""
    return SimpleNamespace(**dict.fromkeys(Fetcher.__init__.__code__.co_names))


OWNERS = {
    "_aborted_producers": partition_records,
    "_assignment": fetch_result,
    "_check_crcs": partition_records,
    "_client": lambda: AIOKafkaConsumer(bootstrap_servers=NOWHERE),
    "_consume_aborted_up_to": lambda: PartitionRecords,
    "_consumer_record": lambda: PartitionRecords,
    "_contains_abort_marker": lambda: PartitionRecords,
    "_fetch_task": fetcher_names,
    "_fetcher": lambda: AIOKafkaConsumer(bootstrap_servers=NOWHERE),
    "_isolation_level": partition_records,
    "_partition_records": fetch_result,
    "_pending_tasks": fetcher_names,
    "_records": partition_records,
    "_records_iterator": partition_records,
    "_topic_partition": fetch_result,
    "_tp": partition_records,
}


@pytest.mark.parametrize("name", OWNERS)
async def test_aiokafka_has_the_name(name: str) -> None:
    assert hasattr(OWNERS[name](), name)


def test_no_other_name_is_used() -> None:
    assert used_in(aiokafka_fetcher) - OUR_OWN == OWNERS.keys()


@pytest.mark.parametrize(
    "kind",
    [
        aiokafka_fetcher._CheckedRecords,  # noqa: SLF001 - not public
        aiokafka_fetcher._BoundedResult,  # noqa: SLF001 - not public
        aiokafka_fetcher._CheckedClient,  # noqa: SLF001 - not public
        Consumer,
    ],
)
def test_what_overrides_is_marked(kind: type) -> None:
    assert overrides_without_mark(kind) == set()


async def test_a_consumer_stops_while_a_fetch_waits_to_be_sent_again() -> None:
    """As when its broker is gone. aiokafka's own fetcher raises CancelledError."""
    fetcher = Fetcher(AIOKafkaClient(bootstrap_servers=NOWHERE), SubscriptionState())
    fetcher.__class__ = aiokafka_fetcher._CheckedFetcher  # noqa: SLF001 - as Consumer does
    waiting = asyncio.create_task(asyncio.sleep(60))
    fetcher._pending_tasks.add(waiting)  # noqa: SLF001 - as its routine does
    await fetcher.close()
    assert waiting.cancelled()


@pytest.mark.parametrize("name", ["_proc_fetch_request", "fetched_records", "next_record"])
def test_the_methods_that_name_the_replaced_classes_use_ours(name: str) -> None:
    ours, theirs = vars(aiokafka_fetcher._CheckedFetcher)[name], vars(Fetcher)[name]  # noqa: SLF001 - not public
    assert ours.__code__ is theirs.__code__
    assert ours.__globals__["FetchResult"] is not theirs.__globals__["FetchResult"]


async def test_a_consumer_whose_fetcher_cannot_be_checked_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if aiokafka kept its fetcher under another name."""
    monkeypatch.setattr(AIOKafkaConsumer, "start", lambda _: asyncio.sleep(0))
    with pytest.raises(InstallSupportedVersion, match="Fetcher"):
        await Consumer(bootstrap_servers=NOWHERE).start()


def test_a_wrong_checksum_is_believed_once_the_same_bytes_come_again() -> None:
    good, bad, after = batch(GOOD), batch(GOOD, GOOD, base_offset=1, crc=5), batch(GOOD, base_offset=3)
    corrupt = CorruptBatches()
    first = partition_records(good + bad + after, corrupt=corrupt)
    assert [record.offset for record in first] == [0]
    assert first.next_fetch_offset == 1, "what is after the good batch is fetched again"
    again = partition_records(bad + after, begin=1, corrupt=corrupt)
    undecoded, record = again
    assert isinstance(undecoded, UndecodedRecord)
    assert (undecoded.offset, undecoded.length) == (2, len(bad))
    assert "checksum" in undecoded.reason
    assert record.offset == 3


def test_of_a_damaged_header_only_what_it_states_twice_is_believed() -> None:
    damaged = batch(GOOD, crc=5, last_offset_delta=2**30)
    corrupt = CorruptBatches()
    assert not list(partition_records(damaged, corrupt=corrupt))
    (undecoded,) = partition_records(damaged, corrupt=corrupt)
    assert undecoded.offset == 0


def test_corrupt_batches_are_not_remembered_for_ever() -> None:
    corrupt = CorruptBatches()
    for number in range(corrupt.MOST + 1):
        assert not corrupt.seen_before(memoryview(str(number).encode()))
    assert not corrupt.seen_before(memoryview(b"0"))
    assert corrupt.seen_before(memoryview(str(corrupt.MOST).encode()))


@pytest.mark.parametrize("magic", [0, 1])
def test_messages_of_old_formats_are_read(magic: int) -> None:
    builder = LegacyRecordBatchBuilder(magic, 0, 10_000)
    builder.append(0, timestamp=None if magic == 0 else 12, key=b"key", value=b"value")
    raw = bytes(builder.build())
    (record,) = partition_records(raw)
    assert (record.key, record.value) == (b"key", b"value")
    packed = LegacyRecordBatchBuilder(magic, GZIP, 10_000)
    packed.append(0, timestamp=None if magic == 0 else 12, key=b"key", value=b"value")
    (undecoded,) = partition_records(bytes(packed.build()))
    assert isinstance(undecoded, UndecodedRecord)


class Assignment:
    """Of a partition that stays assigned."""

    active, paused, position = True, False, 0

    def state_value(self, _: object) -> Assignment:
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


def test_what_is_dropped_while_a_partition_is_paused_is_released_at_once() -> None:
    assignment, records = Assignment(), partition_records(batch(*[GOOD] * 9))
    result = aiokafka_fetcher._BoundedResult(  # noqa: SLF001 - the class under test
        TopicPartition("t", 0), assignment=assignment, partition_records=records, backoff=0
    )
    assert len(result.getall(2)) == 2
    assignment.paused = True
    released = weakref.ref(records)
    gc.disable()
    try:
        del records
        assert result.getall() == []
        assert released() is None
    finally:
        gc.enable()


def test_no_more_of_a_partition_is_returned_at_a_time_than_fits() -> None:
    def taken(raw: bytes) -> list[tuple[int, int]]:
        result = aiokafka_fetcher._BoundedResult(  # noqa: SLF001 - the class under test
            TopicPartition("t", 0), assignment=Assignment(), partition_records=partition_records(raw), backoff=0
        )
        calls = []
        while result.has_more():
            records = result.getall()
            calls.append((len(records), records.size_bytes))
        return calls

    large = RawRecord(bytes(MEBIBYTE - 100))
    most = MAX_FETCHED_BYTES // MEBIBYTE
    raw = b"".join(batch(large, codec=ZSTD, base_offset=number) for number in range(2 * most + 3))
    calls = taken(raw)
    assert sum(count for count, _ in calls) == 2 * most + 3
    assert max(size_bytes for _, size_bytes in calls) < MAX_FETCHED_BYTES + MEBIBYTE
    counts = [count for count, _ in taken(batch(*[RawRecord(None)] * (MAX_FETCHED_RECORDS + 5), codec=ZSTD))]
    assert counts == [MAX_FETCHED_RECORDS, 5]


def written() -> Iterator[tuple[str, bytes]]:
    """Batches that no client would write, by what is wrong with them."""
    body = encoded(GOOD, 0)[1:]
    for codec in (NONE, GZIP, SNAPPY, LZ4, ZSTD):
        yield f"name not UTF-8, codec {codec}", batch(GOOD, NOT_UTF_8, GOOD, codec=codec)
        yield f"bytes after the header, codec {codec}", batch_of(varint(len(body) + 2) + body + b"xx", codec=codec)
        yield f"too many headers, codec {codec}", batch_of(varint(7) + b"\0\0\0\1\1" + varint(90) + b"x", codec=codec)
        yield f"count too low, codec {codec}", batch(GOOD, GOOD, count=1, codec=codec)
        yield f"large record, codec {codec}", batch(GOOD, RawRecord(bytes(2 * MEBIBYTE)), GOOD, codec=codec)
        yield f"offsets twice, codec {codec}", batch(GOOD, GOOD._replace(offset_delta=0), codec=codec)
    yield "offsets backwards", batch(GOOD._replace(offset_delta=1), GOOD._replace(offset_delta=0))
    yield "offset before the batch", batch(GOOD._replace(offset_delta=-5))
    yield "offset behind the batch", batch(GOOD._replace(offset_delta=2**31 - 1))
    yield "null in a header", batch(RawRecord(None, None, [(b"name", None)]))
    yield "length below -1", batch_of(varint(6) + b"\0\0\0" + varint(-2) + varint(-2) + b"\0")
    yield "a long way to write 0", batch_of(varint(9) + b"\0\x80\x80\x80\0\0" + nullable(None) * 2 + b"\0")
    yield "attributes", batch_of(varint(6) + b"\xff\0\0" + nullable(None) * 2 + b"\0", attributes=0x7FC0)
    yield "time before 1970", batch(GOOD, at_ms=-5)
    yield "time after the year 10000", batch(GOOD, at_ms=2**61)
    yield "100 MB of zeros", batch(RawRecord(bytes(100_000_000)), codec=ZSTD)
    yield "a million records", batch_of(b"".join(encoded(RawRecord(None), n) for n in range(60)), count=60, codec=ZSTD)
    for magic in (0, 1, 3, 127):
        yield f"magic {magic}", batch(GOOD, magic=magic)
    for attributes in (5, 6, 7, 0x10, 0x20, 0x30):
        yield f"attributes {attributes}", batch(GOOD, attributes=attributes)
    yield "checksum", batch(GOOD, crc=5)


def mutated(seed: int, count: int) -> Iterator[bytes]:
    """Batches with a random byte of a record changed, and the right checksum."""
    chance = random.Random(seed)  # noqa: S311  # reproducible, no secret
    for _ in range(count):
        content = bytearray(b"".join(encoded(GOOD, number) for number in range(3)))
        for _ in range(chance.randint(1, 3)):
            content[chance.randrange(len(content))] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        yield batch_of(bytes(content), count=3, codec=chance.choice([NONE, ZSTD]))


async def topic_of(bootstrap: str, batches: list[bytes]) -> tuple[str, list[tuple[int, int]]]:
    """A topic with what the broker accepts of the batches: the first offset and the one after the last of each."""
    topic = await new_topic(bootstrap)
    answers = await produce(bootstrap, topic, 0, *batches)
    starts = [offset for error, offset in answers if not error]
    async with started(new_producer({"bootstrap_servers": bootstrap})) as producer:
        end = (await producer.send_and_wait(topic, b"end", partition=0)).offset
    return topic, list(zip(starts, [*starts[1:], end], strict=True))


async def records_in(bootstrap: str, topic: str, end: int, begin: int = 0) -> list[Record]:
    async with started(new_consumer({"bootstrap_servers": bootstrap})) as consumer:
        ranges = {OwnTopicPartition(topic, 0): OffsetRange(begin, end)}
        return [record async for records in read_ranges(consumer, ranges, stall_s=20) for record in records]


def check_all_are_told_of(found: list[Record], batches: list[tuple[int, int]], seed: int = 0) -> None:
    """Each offset of a batch is that of a record, or before an undecoded one of the same batch."""
    for first, end in batches:
        offsets = [record.offset for record in found if first <= record.offset < end]
        undecoded = [it.offset for it in found if isinstance(it, UndecodedRecord) and first <= it.offset < end]
        assert offsets == sorted(set(offsets))
        for offset in range(first, end):
            assert offset in offsets or any(it >= offset for it in undecoded), f"offset {offset}, seed {seed}"


@pytest.mark.integration
async def test_a_reader_gets_past_whatever_a_broker_accepts(kafka: str) -> None:
    names, raw = zip(*written(), strict=True)
    topic, batches = await topic_of(kafka, list(raw))
    end = batches[-1][1]
    found = await records_in(kafka, topic, end + 1)
    assert found[-1].value == b"end"
    check_all_are_told_of(found, batches)
    reasons = " ".join(record.reason for record in found if isinstance(record, UndecodedRecord))
    for expected in ("UTF-8", "out of order", "the limit is 1048576", "no zstd data"):
        assert expected in reasons, names
    assert sum(record.value == b"good" for record in found) > 2 * len(("none", "gzip", "snappy", "lz4", "zstd"))


@pytest.mark.integration
async def test_reading_from_any_offset_tells_the_same(kafka: str) -> None:
    topic, batches = await topic_of(
        kafka, [batch(GOOD, NOT_UTF_8, GOOD, codec=ZSTD), batch(*[RawRecord(bytes(20 * MEBIBYTE))] * 2, codec=ZSTD)]
    )
    end = batches[-1][1]
    whole = await records_in(kafka, topic, end)
    assert [(record.offset, isinstance(record, UndecodedRecord)) for record in whole] == [
        (0, False),
        (1, True),
        (2, False),
        (4, True),
    ]
    for begin in range(end):
        assert await records_in(kafka, topic, end, begin) == [record for record in whole if record.offset >= begin]


@pytest.mark.integration
async def test_random_damage_stops_no_reader(kafka: str) -> None:
    seed = random.SystemRandom().randrange(2**32)
    topic, batches = await topic_of(kafka, list(mutated(seed, length(short=150, soak=5000))))
    found = await records_in(kafka, topic, batches[-1][1] + 1)
    assert found[-1].value == b"end", f"seed {seed}"
    check_all_are_told_of(found, batches, seed)
    assert len(batches) > 10, "the broker accepts some of them"
