"""Everything that ShieldX uses of faust and mode beyond their public interfaces. No other module does so.

faust may rename any of these names in any release. Each has a test in tests/engine/replayable/test_faust_internals.py,
which also shows what faust does without the override:

- It reads uncommitted records.
- It commits past a record that is still being worked on, if that is the first one behind the committed offset.
- It takes a commit that has failed for one that has succeeded.
- Its app crashes when a broker is away for a moment.
- It resumes the streams of an assignment that a later rebalance has replaced.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import faust
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.threads import WorkerThread
from typing_extensions import override

from shieldx.engine.kafka.access import refusal
from shieldx.engine.kafka.clients import TASK_REQUEST_TIMEOUT_MS, new_group_consumer
from shieldx.engine.kafka.foreign_names import checked_overrides
from shieldx.engine.replayable.group_topics import metadata_of
from shieldx.engine.tasks.log import TopicPartition, UndecodedRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shieldx.engine.kafka.aiokafka_internals import FetchPosition, GroupConsumer
    from shieldx.engine.replayable.offset_tracker import OffsetTrackers

logger = logging.getLogger(__name__)
faust_logger = logging.getLogger("faust")
"""Also for our classes: mode would log under this module's name, and a worker would print all of faust's logs."""

NEVER_MS = 2**31 - 1
COMMIT_S = 3.0
"""No heartbeat is sent while partitions are being revoked, so a commit must end before the session times out."""


@checked_overrides
class _Settings(faust.Settings):
    """Settings that come only from the arguments of the app."""

    @override
    def getenv(self, env_name: str) -> Any:
        """Ignore the environment: `BROKER_URL` and the like may be meant for another program."""
        return None


class _Boot(BootStrategy):
    enable_kafka_producer = False


@checked_overrides
class _Recovery(Recovery):
    """Resumes streams only for the assignment that it was started for.

    faust compares generations before it waits for the committed offsets. If partitions are revoked during that wait, it
    would resume what faust has just suspended.
    """

    logger = faust_logger
    _rebalance = 0
    """The number of the rebalance that made the assignment."""

    @override
    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        self._rebalance = self.app.rebalancing_count

    @override
    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        """Wait like faust does.

        Raises:
            RebalanceAgain: partitions have been revoked; another call follows once others are assigned.
            ServiceStopped: the app stops.
            TimeoutError: the time is over. faust would silently end this service and never take a record again.
        """
        try:
            await super()._wait(coro, timeout=timeout)
        except ServiceStopped:
            if self.should_stop:
                raise
            raise TimeoutError(
                f"the group coordinator did not return the committed offsets within {timeout} s"
            ) from None
        if self._rebalance != self.app.rebalancing_count:
            raise RebalanceAgain


@checked_overrides
class _Tables(TableManager):
    """All that remains for an app without tables: resumes the streams after a rebalance."""

    logger = faust_logger

    @property
    @override
    def recovery(self) -> Recovery:
        """Made once."""
        if self._recovery is None:
            self._recovery = _Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


@checked_overrides
class ReplayableApp(faust.App):
    """An app that reads no environment variables, creates no folder and starts no producer."""

    logger = faust_logger
    Settings = _Settings
    BootStrategy = _Boot

    def __init__(
        self,
        name: str,
        consumer_options: Mapping[str, Any],
        progress: OffsetTrackers,
        topic_ids: Mapping[str, str],
        **options: Any,
    ) -> None:
        super().__init__(name, TableManager=_Tables, **options)
        self.transport = _Transport(self, consumer_options, progress, topic_ids)

    @override
    async def on_first_start(self) -> None:
        """Create no folder, since there are no tables."""

    async def check_group(self) -> None:
        """Raise the error that keeps this worker out of its group."""
        if isinstance(self.consumer, CommittedConsumer):
            await self.consumer.check_group()

    def lags(self) -> dict[TopicPartition, int]:
        """The number of offsets of each partition that are not done, where it is known."""
        return self.consumer.lags() if isinstance(self.consumer, CommittedConsumer) else {}

    def fetch_positions(self) -> dict[TopicPartition, FetchPosition]:
        """How far each partition has been fetched, where it is known."""
        return self.consumer.fetch_positions() if isinstance(self.consumer, CommittedConsumer) else {}


class _DaemonThread(WorkerThread):
    """An unresponsive broker must not keep the process from exiting."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.daemon = True


@checked_overrides
class CommittedThread(driver.AIOKafkaConsumerThread):
    """The consumer's thread, which sends heartbeats whatever the agent does."""

    Worker = _DaemonThread
    logger = faust_logger

    @override
    def _create_worker_consumer(self, transport: driver.Transport) -> GroupConsumer:
        """Connect like all clients of the platform, not with faust's settings."""
        return new_group_consumer(
            _options_of(transport),
            RoundRobinPartitionAssignor,
            auto_offset_reset="earliest",
            request_timeout_ms=TASK_REQUEST_TIMEOUT_MS,
            # A worker that waits out an outage takes no records, and must not be removed from the group for that.
            max_poll_interval_ms=NEVER_MS,
        )

    @override
    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every partition, and one without a committed offset to its beginning.

        During a rebalance faust drops what it has fetched, and relies on this to fetch it again. aiokafka leaves a
        partition without a committed offset where it is, behind the records that were dropped.
        """
        committed = await super().seek_to_committed()
        uncommitted = [KafkaTopicPartition(*tp) for tp, offset in committed.items() if not offset]
        if uncommitted:
            await self.seek_to_beginning(*uncommitted)
        return committed

    @override
    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        mine = {
            KafkaTopicPartition(*tp): OffsetAndMetadata(offset, self._metadata_of(tp.topic))
            for tp, offset in offsets.items()
            if KafkaTopicPartition(*tp) in consumer.assignment()
        }
        try:
            if mine:
                await consumer.commit(mine)
        except KafkaError as error:
            if (refused := refusal(error, _options_of(self.transport))) is not None:
                await self.crash(refused)
            logger.warning("offsets were not committed and will be retried: %r", error)
            return False
        return True

    def _metadata_of(self, topic: str) -> str:
        """The text that is committed with an offset."""
        topic_ids: Mapping[str, str] = self.transport.topic_ids  # type: ignore[attr-defined] # it is a `_Transport`
        return metadata_of(topic_ids[topic]) if topic in topic_ids else ""

    async def check_group(self) -> None:
        """Raise the error that keeps this worker out of its group. aiokafka raises it on request; faust never asks."""
        if self._consumer is not None:
            await self.call_thread(self._check_group)

    async def _check_group(self) -> None:
        self._ensure_consumer().check_group()

    @override
    def on_crash(self, msg: str, *fmt: Any, **_: Any) -> None:
        """Log what mode would print otherwise."""
        logger.error(msg.format(*fmt), exc_info=True)  # noqa: LOG014 - called while it is handled


def _options_of(transport: Any) -> Mapping[str, Any]:
    """The connection options; the transport is always a `_Transport`."""
    options: Mapping[str, Any] = transport.consumer_options
    return options


class _NothingRead(dict[Any, None]):
    """Keep no read offsets: faust drops records below them, and after a rebalance they may be outdated."""

    def __missing__(self, key: object) -> None:
        return None

    def __setitem__(self, key: object, value: object) -> None:
        """Nothing is kept."""

    def update(self, *_: Any, **__: Any) -> None:
        """Nothing is kept."""


class UndecodedMessage(ConsumerMessage):
    """Takes an `UndecodedRecord` through faust's streams."""

    def __init__(self, tp: TP, record: UndecodedRecord, generation_id: int) -> None:
        super().__init__(
            record.topic,
            record.partition,
            record.offset,
            record.timestamp / 1000,
            0,
            list(record.headers),
            record.key,
            record.value,
            None,
            tp=tp,
            generation_id=generation_id,
        )
        self.undecoded = record


@checked_overrides
class CommittedConsumer(driver.Consumer):
    """A consumer that commits the agent's progress rather than faust's acknowledgements."""

    logger = faust_logger

    def __init__(self, transport: _Transport, *args: Any, **options: Any) -> None:
        super().__init__(transport, *args, **options)
        self.progress = transport.progress
        self.fetched: dict[TopicPartition, int] = {}
        """The offset after the last record of each partition that was passed on."""
        self._read_offset = _NothingRead()  # type: ignore[assignment] # it never has any of the values

    @override
    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)

    @override
    def _to_message(self, tp: TP, record: Any) -> Any:
        self.fetched[TopicPartition(*tp)] = record.offset + 1
        if isinstance(record, UndecodedRecord):
            return UndecodedMessage(tp, record, self.app.consumer_generation_id)
        return super()._to_message(tp, record)

    @override
    async def _commit_tps(self, tps: Iterable[TP], start_new_transaction: bool) -> bool:
        known = dict(self.progress.partitions)
        offsets = {tp: next_offset for tp, each in known.items() if (next_offset := each.uncommitted) is not None}
        if not offsets or not await self._commit({TP(*tp): offset for tp, offset in offsets.items()}):
            return False
        for tp, offset in offsets.items():
            known[tp].committed = offset
        return True

    @override
    async def perform_seek(self) -> None:
        """Continue at the group's committed offsets."""
        await super().perform_seek()
        self.fetched.clear()
        for tp in self.assignment():
            self.progress.begin(TopicPartition(*tp), self._committed_offset.get(tp) or None)

    @override
    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Commit what is done, so that as little as possible is repeated."""
        if revoked and not self.app.should_stop:
            try:
                async with asyncio.timeout(COMMIT_S):
                    await self.commit()
            except TimeoutError:
                logger.warning("offsets were not committed before the partitions were revoked")
        await super().on_partitions_revoked(revoked)

    @override
    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        """Forget partitions that are assigned to others now."""
        self._buffered_partitions.clear()
        self.progress.keep([TopicPartition(*tp) for tp in assigned])
        await super().on_partitions_assigned(assigned, generation_id)

    async def check_group(self) -> None:
        """Raise what keeps this worker out of its group."""
        if isinstance(self._thread, CommittedThread):
            await self._thread.check_group()

    def lags(self) -> dict[TopicPartition, int]:
        """How many offsets of each partition are not done, where that is known."""
        fetched = self.fetch_positions()
        return {tp: lag for tp, position in fetched.items() if (lag := self._lag(tp, position)) is not None}

    def fetch_positions(self) -> dict[TopicPartition, FetchPosition]:
        """How far each partition has been fetched, where that is known."""
        consumer = self._thread._consumer  # noqa: SLF001 - faust's thread class does not expose it
        if consumer is None:
            return {}
        found = {tp: consumer.fetch_position(KafkaTopicPartition(*tp)) for tp in list(self.progress.partitions)}
        return {tp: position for tp, position in found.items() if position is not None}

    def _lag(self, tp: TopicPartition, fetched: FetchPosition) -> int | None:
        done = self.progress.partitions[tp].next_offset
        if done == self.fetched.get(tp, done) and fetched.position >= fetched.last_stable_offset:
            return fetched.high_watermark - fetched.last_stable_offset  # what precedes are only markers
        return None if done is None else max(0, fetched.high_watermark - done)


class _Transport(driver.Transport):
    """Connects faust like the platform's other clients, and counts records like a worker."""

    Consumer = CommittedConsumer

    def __init__(
        self, app: Any, consumer_options: Mapping[str, Any], progress: OffsetTrackers, topic_ids: Mapping[str, str]
    ) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.consumer_options = dict(consumer_options)
        self.topic_ids = topic_ids
        self.progress = progress
