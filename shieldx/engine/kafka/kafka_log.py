"""The log on Kafka, with aiokafka."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiokafka.errors import ProducerFenced

from shieldx.engine.kafka.access import FAILURES, refusal, translated
from shieldx.engine.kafka.aiokafka_internals import drop, last_batch, retrieve_failures, set_first_partition_backoff
from shieldx.engine.kafka.clients import TASK_REQUEST_TIMEOUT_MS, new_consumer, new_producer, started
from shieldx.engine.kafka.cluster import Cluster, bounds_of
from shieldx.engine.kafka.committed_range import read_ranges
from shieldx.engine.kafka.positions import last_positions, position_record
from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import LeaveTask, RestoreTask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
    from aiokafka.producer.message_accumulator import BatchBuilder, MessageBatch

    from shieldx.engine.kafka.offset_range import OffsetRange
    from shieldx.engine.tasks.log import Record, Write
    from shieldx.engine.tasks.position import Position

logger = logging.getLogger(__name__)

RETRY_BACKOFF_MS = 2
"""Wait if the broker still writes the markers of the previous transaction, which it does after responding."""
BATCH_BYTES = 900_000
"""Below the 1 MB that a broker accepts as one batch."""
CLOSE_TIMEOUT_S = 2.0
RESTORE_FETCH_BYTES = 8 * 1024 * 1024

# With aiokafka's 20 ms, transactions back to back take 27 ms each; with 2 ms they take 9 ms.
set_first_partition_backoff(RETRY_BACKOFF_MS / 1000)


class KafkaLog:
    """The log of an agent's tasks. Each producer has its own connection.

    Positions are records of a compacted topic, in the partition with the input's number. As group offsets they would
    cost two more round trips per transaction and a third of the broker's CPU time.
    """

    def __init__(
        self,
        connection: Mapping[str, Any],
        positions_topic: str,
        *,
        application: str = "shieldx",
        transaction_timeout_ms: int = 10_000,
    ) -> None:
        self._connection = dict(connection)
        self._positions_topic = positions_topic
        self._application = application
        self._transaction_timeout_ms = transaction_timeout_ms
        self._cluster = Cluster(connection)

    async def start(self) -> None:
        """Connect.

        Raises:
            RestoreTask: no broker responds.
        """
        await self._cluster.start()

    async def stop(self) -> None:
        """Disconnect; producers are closed by their owners."""
        await self._cluster.stop()

    async def fence(self, transactional_id: str) -> KafkaTransactions:
        """Initialise a producer. The broker aborts the open transaction of an earlier one with this id, and fences it.

        Raises:
            FixConfiguration: an ACL is missing.
            RestoreTask: the broker did not answer.
        """
        producer = new_producer(
            self._connection,
            transactional_id=transactional_id,
            transaction_timeout_ms=self._transaction_timeout_ms,
            max_batch_size=BATCH_BYTES,
            max_request_size=2 * BATCH_BYTES,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            request_timeout_ms=TASK_REQUEST_TIMEOUT_MS,
        )
        transactions = KafkaTransactions(producer, self._positions_topic, self._connection)
        try:
            await producer.start()
        except FAILURES as error:
            await transactions.close()
            raise refusal(error, self._connection) or RestoreTask(
                f"no producer for {transactional_id}: {error!r}"
            ) from error
        except asyncio.CancelledError:
            await transactions.close()
            raise
        return transactions

    async def positions(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Position]:
        """The last committed position of each input that has one.

        Raises:
            FixConfiguration: a position cannot be read, or belongs to another application.
            RestoreTask: the broker did not answer.
        """
        with translated(self._connection, f"the positions in {self._positions_topic} cannot be read"):
            async with self._reader() as consumer:
                return await last_positions(consumer, self._positions_topic, partitions, self._application)

    async def cluster(self) -> str:
        """The cluster's id.

        Raises:
            RestoreTask: the log was not started.
        """
        return self._cluster.id

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetRange]:
        """The first offset of each partition, and the one after its last committed record.

        Raises:
            FixConfiguration: an ACL is missing.
            RestoreTask: the broker did not answer, or the log was not started.
        """
        return await self._cluster.bounds(partitions)

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """The id of each topic that exists.

        Raises:
            FixConfiguration: an ACL is missing.
            RestoreTask: the broker did not answer, or the log was not started.
        """
        return await self._cluster.topic_ids(topics)

    async def read_to_end(
        self, partitions: Iterable[TopicPartition], positions: Mapping[TopicPartition, int] | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        """Every committed record of the partitions up to their current ends.

        Starts at the beginning, or at the offset that `positions` names.

        Raises:
            FixConfiguration: an ACL is missing.
            RestoreTask: the broker did not respond, or has deleted records to be read.
        """
        wanted = list(partitions)
        if not wanted:
            return
        starts = positions or {}
        with translated(self._connection, "tables cannot be read"):
            async with self._reader() as consumer:
                held = await bounds_of(consumer, wanted)
                ranges = {tp: each._replace(begin=starts.get(tp, each.begin)) for tp, each in held.items()}
                async for records in read_ranges(consumer, ranges):
                    yield records

    def _reader(self) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
        consumer = new_consumer(
            self._connection,
            max_partition_fetch_bytes=RESTORE_FETCH_BYTES,
            request_timeout_ms=TASK_REQUEST_TIMEOUT_MS,
        )
        return started(consumer)


class KafkaTransactions:
    """One transactional producer. It cannot be used after an error, since its sequence numbers are not rewound."""

    def __init__(self, producer: AIOKafkaProducer, positions_topic: str, connection: Mapping[str, Any]) -> None:
        self._producer = producer
        self._positions_topic = positions_topic
        self._connection = connection

    async def commit(
        self, writes: Mapping[TopicPartition, Sequence[Write]], positions: Mapping[TopicPartition, Position]
    ) -> dict[TopicPartition, int]:
        """Write all records and the next offsets of the inputs in one transaction.

        Returns the offset after the last record of each written partition. It is unknown where a delivery was retried.

        Does not abort on an error: the next `fence` with this id does so.

        Raises:
            FixConfiguration: an ACL is missing.
            LeaveTask: a later producer with this id exists, or the transaction timed out.
            RestoreTask: any other error. It is unknown whether the commit happened.
        """
        producer = self._producer
        deliveries: list[asyncio.Future[Any]] = []
        batches: list[MessageBatch] = []
        last: dict[TopicPartition, tuple[asyncio.Future[Any], int]] = {}
        try:
            await producer.begin_transaction()
            for tp, records in self._all(writes, positions).items():
                for builder in self._builders(records):
                    delivery = await producer.send_batch(builder, tp.topic, partition=tp.partition)
                    deliveries.append(delivery)
                    batches.append(last_batch(producer, tp.topic, tp.partition))
                    last[tp] = delivery, builder.record_count()
            # commit_transaction ignores a batch's error and would commit the positions of rejected results.
            await asyncio.gather(*deliveries)
            await producer.commit_transaction()
        except FAILURES as error:
            outcomes = await asyncio.gather(*deliveries, return_exceptions=True)
            retrieve_failures(producer, batches)
            if any(_is_fenced(each) for each in (error, *outcomes) if isinstance(each, BaseException)):
                raise LeaveTask(f"fenced by a later producer, or timed out: {error!r}") from error
            refused = (refusal(each, self._connection) for each in (error, *outcomes) if isinstance(each, Exception))
            raise next(filter(None, refused), RestoreTask(f"a transaction failed: {error!r}")) from error
        return {tp: sent.result().offset + count for tp, (sent, count) in last.items() if sent.result().offset >= 0}

    async def close(self) -> None:
        """Release the connection without waiting for an open transaction, which the next `fence` aborts."""
        producer = self._producer
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await producer.stop()
        except (TimeoutError, *FAILURES) as error:
            # stop() waits for batches that a broker may never accept, and leaves its work unfinished when it fails.
            logger.debug("closing a producer by force: %r", error)
            await drop(producer)
        retrieve_failures(producer)

    def _all(
        self, writes: Mapping[TopicPartition, Sequence[Write]], positions: Mapping[TopicPartition, Position]
    ) -> dict[TopicPartition, Sequence[Write]]:
        """All records to write, including positions."""
        places: dict[TopicPartition, list[Write]] = {}
        for tp, position in positions.items():
            place = TopicPartition(self._positions_topic, tp.partition)
            places.setdefault(place, []).append(position_record(tp, position))
        return {**writes, **places}

    def _builders(self, records: Sequence[Write]) -> Iterator[BatchBuilder]:
        """Pack records into batches as full as possible."""
        builder = self._producer.create_batch()
        append = builder.append
        for write in records:
            if append(timestamp=None, key=write.key, value=write.value, headers=write.headers) is None:
                builder.close()
                yield builder
                builder = self._producer.create_batch()
                append = builder.append
                append(timestamp=None, key=write.key, value=write.value, headers=write.headers)
        builder.close()
        yield builder


def _is_fenced(error: BaseException) -> bool:
    """Whether an error or its cause is a fencing. aiokafka wraps the errors of its sender."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ProducerFenced):
            return True
        cause = cause.__cause__
    return False
