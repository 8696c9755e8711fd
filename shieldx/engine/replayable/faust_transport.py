"""How faust reaches Kafka: committed records only, and a record counts as done when it is, not when a later one is.

faust itself reads uncommitted records. It commits past one that is still being worked on, if that is the first one
behind the committed offset; it takes a commit that has failed for one that has not; and its app crashes when a broker
is away for a moment.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.threads import WorkerThread

from shieldx.engine.kafka.access import refusal
from shieldx.engine.kafka.clients import TASK_REQUEST_TIMEOUT_MS, new_group_consumer
from shieldx.engine.tasks.log import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiokafka import AIOKafkaConsumer

    from shieldx.engine.replayable.offset_tracker import OffsetTrackers

logger = logging.getLogger(__name__)

NEVER_MS = 2**31 - 1
COMMIT_S = 3.0
"""While partitions are being revoked no heartbeat is sent: a commit must not outlast the session."""


class _DaemonThread(WorkerThread):
    """A broker that does not answer must not keep the process from ending."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.daemon = True


class CommittedThread(driver.AIOKafkaConsumerThread):
    """The thread of the consumer, which heartbeats whatever the agent does."""

    Worker = _DaemonThread
    logger = logging.getLogger("faust")

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        """Connect as all clients of the platform do, rather than by faust's settings."""
        return new_group_consumer(
            _options_of(transport),
            RoundRobinPartitionAssignor,
            auto_offset_reset="earliest",
            request_timeout_ms=TASK_REQUEST_TIMEOUT_MS,
            # A worker that waits for an outage to pass takes nothing, and must not be thrown out for it.
            max_poll_interval_ms=NEVER_MS,
        )

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        mine = {
            KafkaTopicPartition(*tp): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if KafkaTopicPartition(*tp) in consumer.assignment()
        }
        try:
            if mine:
                await consumer.commit(mine)
        except KafkaError as error:
            if (refused := refusal(error, _options_of(self.transport))) is not None:
                await self.crash(refused)
            logger.warning("the group was not told how far it has come, and will be: %r", error)
            return False
        return True

    async def check_group(self) -> None:
        """Raise what keeps this worker out of its group. aiokafka waits for someone to ask, and faust never does."""
        if self._consumer is not None:
            await self.call_thread(self._check_group)

    async def _check_group(self) -> None:
        self._ensure_consumer()._coordinator.check_errors()  # noqa: SLF001 - `getmany` asks it, which faust goes around

    def on_crash(self, msg: str, *fmt: Any, **_: Any) -> None:
        """Log what mode would print."""
        logger.error(msg.format(*fmt), exc_info=True)  # noqa: LOG014 - called while it is handled


def _options_of(transport: Any) -> Mapping[str, Any]:
    """What the consumer connects with, whom nothing but `Transport` makes."""
    options: Mapping[str, Any] = transport.consumer_options
    return options


class _NothingRead(dict[Any, None]):
    """faust drops records below an offset that it has read, and a rebalance may leave that one behind: keep none."""

    def __missing__(self, key: object) -> None:
        return None

    def __setitem__(self, key: object, value: object) -> None:
        """Nothing is kept."""

    def update(self, *_: Any, **__: Any) -> None:
        """Nothing is kept."""


class CommittedConsumer(driver.Consumer):
    """A consumer whose offsets come from the progress of the agent, not from faust's acknowledgements."""

    logger = logging.getLogger("faust")

    def __init__(self, transport: Transport, *args: Any, **options: Any) -> None:
        super().__init__(transport, *args, **options)
        self.progress = transport.progress
        self.fetched: dict[TopicPartition, int] = {}
        """The offset behind the last record of each partition that was handed on."""
        self._read_offset = _NothingRead()  # type: ignore[assignment] # it never has any of the values

    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)

    def _to_message(self, tp: TP, record: Any) -> Any:
        self.fetched[TopicPartition(*tp)] = record.offset + 1
        return super()._to_message(tp, record)

    async def _add_gap(self, *_: Any) -> None:
        """OffsetTrackers needs no list of the offsets that never come."""

    async def _commit_tps(self, tps: Iterable[TP], start_new_transaction: bool) -> bool:  # noqa: ARG002 - faust's signature
        known = dict(self.progress.partitions)
        offsets = {tp: next_offset for tp, each in known.items() if (next_offset := each.uncommitted) is not None}
        if not offsets or not await self._commit({TP(*tp): offset for tp, offset in offsets.items()}):
            return False
        for tp, offset in offsets.items():
            known[tp].committed = offset
        return True

    async def perform_seek(self) -> None:
        """Go on where the group says."""
        await super().perform_seek()
        self.fetched.clear()
        for tp in self.assignment():
            self.progress.begin(TopicPartition(*tp), self._committed_offset.get(tp) or None)

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Tell the group what is done, so that as little as possible is done again."""
        if revoked and not self.app.should_stop:
            try:
                async with asyncio.timeout(COMMIT_S):
                    await self.commit()
            except TimeoutError:
                logger.warning("the group was not told how far it has come before its partitions moved")
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        """Let go of what others have now."""
        self._buffered_partitions.clear()
        self.progress.keep([TopicPartition(*tp) for tp in assigned])
        await super().on_partitions_assigned(assigned, generation_id)

    async def check_group(self) -> None:
        """Raise what keeps this worker out of its group."""
        if isinstance(self._thread, CommittedThread):
            await self._thread.check_group()

    def lags(self) -> dict[TopicPartition, int]:
        """How many offsets of each partition are not done, where that is known."""
        consumer = self._thread._consumer  # noqa: SLF001 - faust's own thread class gives it to nobody
        if consumer is None:
            return {}
        return {
            tp: lag
            for tp in list(self.progress.partitions)
            if (lag := self._lag(consumer, KafkaTopicPartition(*tp))) is not None
        }

    def _lag(self, consumer: AIOKafkaConsumer, tp: KafkaTopicPartition) -> int | None:
        subscription = consumer._subscription.subscription  # noqa: SLF001 - its public methods raise or wait
        assignment = None if subscription is None else subscription.assignment
        state = None if assignment is None or tp not in assignment.tps else assignment.state_value(tp)
        if state is None or state.lso is None or not state.has_valid_position:
            return None
        place = TopicPartition(*tp)
        done = self.progress.partitions[place].next_offset
        if done == self.fetched.get(place, done) and state.position >= state.lso:
            return 0  # only markers stand behind it
        return None if done is None else max(0, state.lso - done)


class Transport(driver.Transport):
    """Connects faust as the platform connects, and counts records as the worker does."""

    Consumer = CommittedConsumer

    def __init__(self, app: Any, consumer_options: Mapping[str, Any], progress: OffsetTrackers) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.consumer_options = dict(consumer_options)
        self.progress = progress
