"""Fetches records so that nothing in a topic can stop its readers. Uses aiokafka beyond its public interface.

aiokafka may rename any of these names in any release. Each has a test in tests/engine/kafka/test_aiokafka_fetcher.py.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from hashlib import sha256
from types import FunctionType
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.structs import ConsumerRecord
from typing_extensions import override

from shieldx.engine.kafka.foreign_names import InstallSupportedVersion, checked_overrides, require
from shieldx.engine.kafka.record_batch import (
    HEADER_BYTES,
    MAX_RECORD_BYTES,
    RECORD_BATCH,
    BatchRefusedError,
    FetchedBatches,
    base_offset_of,
    content_bytes,
    decompressed,
    header_of,
    is_compressed,
    magic_of,
    parse_records,
)
from shieldx.engine.tasks.log import FetchedRecords, UndecodedRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.engine.kafka.record_batch import BatchHeader, ParsedRecord

MAX_FETCHED_BYTES = 8 * 1_048_576
"""One call returns no more of a partition once it has begun batches of this decompressed size."""
MAX_FETCHED_RECORDS = 20_000
"""How many records of a partition one call returns: a small batch may hold a million of the smallest."""


class CorruptBatches:
    """Remembers batches whose checksum was wrong, by their digests.

    The bytes are fetched again once: only if they have not changed, they are stored like that.
    """

    MOST = 1000

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def seen_before(self, batch: memoryview) -> bool:
        """Whether the same bytes were fetched before."""
        digest = sha256(batch).digest()
        if digest in self._seen:
            return True
        self._seen[digest] = None
        if len(self._seen) > self.MOST:
            self._seen.popitem(last=False)
        return False


@checked_overrides
class _CheckedRecords(PartitionRecords):  # type: ignore[misc] # aiokafka ships no types
    """Decodes what it can of a partition's batches. In place of what it cannot, it yields `UndecodedRecord`.

    aiokafka raises an error instead, again and again, and drops the records before it in the same response. It also
    decompresses batches of any size.

    `_records` are `FetchedBatches`, and `_check_crcs` is a `CorruptBatches`.
    """

    next_fetch_offset: int
    begun_bytes = 0
    """The decompressed size of the batches that were begun, until the reader sets it back."""

    @override
    def _unpack_records(self) -> Iterator[Any]:
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._is_corrupt(batch):
                if not self._check_crcs.seen_before(batch):
                    return  # the position stays before this batch, so that it is fetched again
                yield self._passed_over(batch)
                continue
            of_format_2 = magic_of(batch) >= RECORD_BATCH
            next_offset = header_of(batch).last_offset + 1 if of_format_2 else base_offset_of(batch) + 1
            for record in self._batch(batch) if of_format_2 else self._legacy(batch):
                if record.offset >= self.next_fetch_offset:
                    self.next_fetch_offset = record.offset + 1
                    yield record
            self.next_fetch_offset = max(self.next_fetch_offset, next_offset)

    def drop(self) -> None:
        """Release the batches. The iterator refers to this object, and garbage is collected rarely in a worker."""
        self._records_iterator = None

    def _is_corrupt(self, batch: memoryview) -> bool:
        if magic_of(batch) < RECORD_BATCH:
            return not LegacyRecordBatch(batch, magic_of(batch)).validate_crc()
        return len(batch) < HEADER_BYTES or not DefaultRecordBatch(batch).validate_crc()

    def _passed_over(self, batch: memoryview) -> UndecodedRecord:
        """Move past a batch whose header cannot be trusted: by the number that it states twice, or else by one."""
        last_offset = self.next_fetch_offset
        if magic_of(batch) >= RECORD_BATCH and len(batch) >= HEADER_BYTES and header_of(batch).is_whole:
            last_offset = max(last_offset, header_of(batch).last_offset)
        self.next_fetch_offset = last_offset + 1
        return self._undecoded(batch, last_offset, "the checksum of its batch is wrong")

    def _batch(self, batch: memoryview) -> Iterator[Any]:
        """The records of a batch of format 2, unless it is a marker or belongs to an aborted transaction."""
        header = header_of(batch)
        if self._isolation_level == fetcher.READ_COMMITTED:
            self._consume_aborted_up_to(header.base_offset)
            if header.is_control and self._contains_abort_marker(iter(DefaultRecordBatch(batch))):
                self._aborted_producers.discard(header.producer_id)
            if header.is_transactional and header.producer_id in self._aborted_producers:
                return
        if header.is_control:
            return
        try:
            plain = decompressed(batch, header)
        except BatchRefusedError as error:
            yield self._undecoded(batch, header.last_offset, str(error), header.max_timestamp)
            return
        yield from self._plain(plain, header)

    def _plain(self, batch: memoryview | bytes, header: BatchHeader) -> Iterator[Any]:
        """The records of an uncompressed batch, decoded by aiokafka, which is fast, or by us where it cannot."""
        self.begun_bytes += content_bytes(batch)
        records = _decoded(batch, header)
        if records is not None:
            yield from [self._consumer_record(self._tp, record) for record in records]
            return
        for parsed in parse_records(batch, header):
            if parsed.malformed is None:
                yield self._parsed(parsed)
            else:
                yield self._undecoded(parsed.content, parsed.offset, parsed.malformed, header.max_timestamp)

    def _legacy(self, batch: memoryview) -> Iterator[Any]:
        """A message of format 0 or 1, which Kafka has not written since version 3."""
        if is_compressed(batch):
            yield self._undecoded(batch, base_offset_of(batch), "it is a compressed message of format 0 or 1")
            return
        try:
            yield from [self._consumer_record(self._tp, it) for it in LegacyRecordBatch(batch, magic_of(batch))]
        except Exception as error:  # noqa: BLE001 - aiokafka raises any error that the bytes cause
            yield self._undecoded(batch, base_offset_of(batch), f"a message of format 0 or 1: {type(error).__name__}")

    def _parsed(self, record: ParsedRecord) -> ConsumerRecord[bytes, bytes]:
        return ConsumerRecord(
            self._tp.topic,
            self._tp.partition,
            record.offset,
            record.timestamp,
            0,
            record.key,
            record.value,
            None,
            -1 if record.key is None else len(record.key),
            -1 if record.value is None else len(record.value),
            record.headers,
        )

    def _undecoded(self, content: memoryview, offset: int, reason: str, timestamp: int = 0) -> UndecodedRecord:
        return UndecodedRecord(
            topic=self._tp.topic,
            partition=self._tp.partition,
            offset=offset,
            timestamp=timestamp,
            reason=reason,
            length=len(content),
            sha256=sha256(content).hexdigest(),
        )


def _decoded(batch: memoryview | bytes, header: BatchHeader) -> list[Any] | None:
    """The records of an uncompressed batch; None if aiokafka cannot decode all of them, or there is a lot."""
    if content_bytes(batch) > MAX_RECORD_BYTES or header.record_count > MAX_FETCHED_RECORDS:
        return None
    try:
        records = list(DefaultRecordBatch(batch))
    except Exception:  # noqa: BLE001 - aiokafka raises any error that the bytes cause
        return None
    offsets = [record.offset for record in records]
    in_order = range(header.base_offset, header.base_offset + len(records)) if header.is_whole else sorted(set(offsets))
    return records if offsets == list(in_order) else None


@checked_overrides
class _BoundedResult(FetchResult):  # type: ignore[misc] # aiokafka ships no types
    """Returns a limited size of records at a time. aiokafka limits only their number."""

    _partition_records: Any

    @override
    def check_assignment(self, tp: Any) -> bool:
        records = self._partition_records
        kept = bool(super().check_assignment(tp))
        if not kept and records is not None:
            records.drop()
        return kept

    @override
    def getall(self, max_records: int | None = None) -> FetchedRecords:
        found = FetchedRecords()
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return found
        most = min(MAX_FETCHED_RECORDS, max_records or MAX_FETCHED_RECORDS)
        records = self._partition_records
        records.begun_bytes = 0
        for record in records:
            found.append(record)
            if len(found) >= most or records.begun_bytes >= MAX_FETCHED_BYTES:
                break
        else:
            self._partition_records = None
        found.size_bytes = records.begun_bytes
        self._state().consumed_to(records.next_fetch_offset)
        return found

    def _state(self) -> Any:
        return self._assignment.state_value(self._topic_partition)


_REPLACED = {"MemoryRecords": FetchedBatches, "PartitionRecords": _CheckedRecords, "FetchResult": _BoundedResult}
"""The classes of aiokafka's module `fetcher` that a `_CheckedFetcher` uses in another form."""

for _name in _REPLACED:
    require(fetcher, _name)


@checked_overrides
class _CheckedFetcher(Fetcher):  # type: ignore[misc] # aiokafka ships no types
    """A fetcher whose methods are aiokafka's own, with `_REPLACED` in place of the classes that they name.

    Replacing the classes in aiokafka's module would change the consumers of the program that uses ShieldX's client.
    """

    @override
    async def close(self) -> None:
        """End all fetches. aiokafka raises CancelledError if one of them waits to ask a broker again that is gone."""
        self._fetch_task.cancel()
        await asyncio.wait([self._fetch_task])
        fetches = list(self._pending_tasks)
        self._pending_tasks.clear()
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)
        await super().close()


for _name, _method in vars(Fetcher).items():
    if isinstance(_method, FunctionType) and not _REPLACED.keys().isdisjoint(_method.__code__.co_names):
        _own = FunctionType(
            _method.__code__, {**vars(fetcher), **_REPLACED}, _name, _method.__defaults__, _method.__closure__
        )
        _own.__kwdefaults__ = _method.__kwdefaults__
        setattr(_CheckedFetcher, _name, _own)


@checked_overrides
class _CheckedClient(AIOKafkaClient):  # type: ignore[misc] # aiokafka ships no types
    """Looks at the error code of a whole fetch response, which aiokafka ignores: it would ask again without a pause."""

    @override
    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        response = await super().send(node_id, request, **options)
        error = for_code(getattr(response, "error_code", 0)) if isinstance(request, FetchRequest) else NoError
        if error is not NoError:
            raise error(f"broker {node_id} answers a fetch with an error")
        return response


class Consumer(AIOKafkaConsumer):  # type: ignore[misc] # aiokafka ships no types
    """A consumer that no record can stop: see `_CheckedRecords`. Use it for every consumer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, check_crcs=CorruptBatches())
        self._client.__class__ = _CheckedClient

    @property
    def _fetcher(self) -> Any:
        """Created by `start`; its class can be set nowhere else."""
        return self._made_fetcher

    @_fetcher.setter
    def _fetcher(self, made: Any) -> None:
        if isinstance(made, Fetcher):
            made.__class__ = _CheckedFetcher
        self._made_fetcher = made

    @override
    async def start(self) -> None:
        await super().start()
        if not isinstance(self._fetcher, _CheckedFetcher):
            await self.stop()
            raise InstallSupportedVersion(
                "AIOKafkaConsumer.start of aiokafka made no Fetcher for this consumer, or keeps it elsewhere. Install "
                "a version of aiokafka that ShieldX's pyproject.toml allows"
            )
