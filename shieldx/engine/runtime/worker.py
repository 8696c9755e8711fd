"""A worker: one member of a consumer group, with a runner for each partition that it is assigned."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, Any

from aiokafka import ConsumerRebalanceListener
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from typing_extensions import override

from shieldx.engine.kafka.access import refusal
from shieldx.engine.kafka.assignor import CopartitionAssignor
from shieldx.engine.kafka.clients import new_group_consumer
from shieldx.engine.kafka.foreign_names import checked_overrides
from shieldx.engine.runtime.membership import Membership
from shieldx.engine.runtime.partition_buffer import PartitionBuffer
from shieldx.engine.runtime.partition_runner import PartitionRunner
from shieldx.engine.runtime.topic_watch import TopicWatch
from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aiokafka import TopicPartition as KafkaTopicPartition

    from shieldx.engine.operations.metrics import Metrics
    from shieldx.engine.runtime.memory_limit import MemoryLimit
    from shieldx.engine.runtime.task_factory import TaskFactory
    from shieldx.engine.tasks.log import FetchedRecords

logger = logging.getLogger(__name__)

FETCH_WAIT_MS = 50
"""A resumed partition waits for the current fetch of the others."""
POLL_MS = 200
ISOLATE_S = 0.2
"""Time for a fetch of each partition after one of them has failed."""
STOP_S = 10.0
TELL_S = 1.0
TELLING_S = 3.0


@checked_overrides
class Worker(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """Runs a share of the partitions of an agent or a sink. Each task restores, runs and restarts independently."""

    def __init__(
        self,
        work: TaskFactory,
        consumer_options: Mapping[str, Any],
        memory: MemoryLimit,
        metrics: Metrics,
        *,
        records_at_a_time: int = 1000,
    ) -> None:
        self._work = work
        self._consumer_options = dict(consumer_options)
        self._memory = memory
        self._metrics = metrics
        self._records_at_a_time = records_at_a_time
        self._membership = Membership()
        self._runners: dict[int, PartitionRunner] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._told: dict[KafkaTopicPartition, int] = {}
        self._telling: asyncio.Task[None] | None = None
        self._tell_at_s = 0.0

    @property
    def name(self) -> str:
        """The name of the agent or sink."""
        return self._work.name

    @property
    def ready(self) -> bool:
        """Whether the group has made an assignment, possibly an empty one, and each partition is running."""
        runners = [self._runners.get(number) for number in self._membership.numbers]
        return self._membership.joined and all(runner is not None and runner.running for runner in runners)

    @property
    def waiting_for(self) -> str:
        """The name, and what keeps partitions from going on, where that is known. For a worker that is not ready."""
        reasons = dict.fromkeys(reason for runner in list(self._runners.values()) for reason in runner.reasons)
        return f"{self.name} ({'; '.join(reasons)})" if reasons else self.name

    async def run(self) -> None:
        """Run until `stop` is called.

        Raises:
            FixConfiguration: the group or a partition will fail until something is changed.
        """
        self._consumer = new_group_consumer(
            self._consumer_options, CopartitionAssignor(), fetch_max_wait_ms=FETCH_WAIT_MS
        )
        try:
            await self._consumer.start()
            async with asyncio.TaskGroup() as self._tasks:
                watch = TopicWatch(self.name, self._work.topic_ids)
                self._tasks.create_task(watch.run(self._stopping), name=f"{self.name}: topic ids")
                self._consumer.subscribe(list(self._work.reads), listener=self)
                await self._fetch_until_stopped()
                await self._leave()
        except* FixConfiguration as group:
            raise group.exceptions[0] from None
        finally:
            await self._stop_consumer()

    async def _stop_consumer(self) -> None:
        """Leave the group. An unresponsive broker must not keep a supervisor waiting."""
        try:
            async with asyncio.timeout(STOP_S):
                await self._consumer.stop()
        except TimeoutError:
            logger.warning(
                "the broker does not respond; the worker did not leave the group", extra={"agent": self.name}
            )

    def stop(self) -> None:
        """Finish open transactions, leave the group, and let `run` return."""
        self._stopping.set()

    @override
    def on_partitions_revoked(self, revoked: Collection[KafkaTopicPartition]) -> None:
        """Called by aiokafka before it rejoins. Tasks that keep their partition need not stop."""

    @override
    def on_partitions_assigned(self, assigned: Collection[KafkaTopicPartition]) -> None:
        """Called by aiokafka after it has joined. Must be quick: no heartbeat is sent before it returns.

        The partitions are paused at an arbitrary position until each task has sought its own.
        """
        if self._stopping.is_set():
            return
        self._consumer.pause(*assigned)
        for tp in assigned:
            self._consumer.seek(tp, 0)
        self._reassign({tp.partition for tp in assigned})
        logger.info("assigned", extra={"agent": self.name, "partitions": sorted(self._membership.numbers)})
        for number in self._membership.numbers - self._runners.keys():
            task = self._tasks.create_task(self._run_partition(number), name=f"{self.name}/{number}")
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def _run_partition(self, number: int) -> None:
        """Run a partition until it is assigned to another worker."""
        inputs = [TopicPartition(topic, number) for topic in self._work.reads]
        metrics = self._metrics.task(self.name, number)
        runner = self._runners[number] = PartitionRunner(
            self.name,
            number,
            self._work.tasks(number, metrics),
            self._membership,
            PartitionBuffer(self._consumer, inputs, batch=self._records_at_a_time),
            self._memory,
            metrics,
        )
        try:
            await runner.work()
        finally:
            del self._runners[number]
            metrics.leave()

    async def _fetch_until_stopped(self) -> None:
        while not self._stopping.is_set():
            self._tell_group()
            try:
                self._distribute(await self._consumer.getmany(timeout_ms=POLL_MS))
            except NoOffsetForPartitionError:
                continue  # asked for a committed position before the runner has sought its own
            except (GroupAuthorizationFailedError, TopicAuthorizationFailedError) as error:
                refused = refusal(error, self._consumer_options)
                raise FixConfiguration(f"agent {self.name} may not read its topics. {refused}") from error
            except Exception as error:  # noqa: BLE001 - aiokafka raises any error that a record's bytes cause
                logger.warning("fetching failed: %r", error, extra={"agent": self.name})
                await self._isolate_failure()

    def _tell_group(self) -> None:
        """Commit the positions to the group now and then, in the background."""
        busy = self._telling is not None and not self._telling.done()
        if not self._work.tells_group or busy or monotonic() < self._tell_at_s:
            return
        self._tell_at_s = monotonic() + TELL_S
        self._telling = asyncio.create_task(self._tell([runner.buffer for runner in self._runners.values()]))

    async def _tell(self, buffers: Collection[PartitionBuffer]) -> None:
        """Commit new positions to the group. It may fail, since they serve only to show lag."""
        taken = {
            tp: offset for buffer in buffers for tp, offset in buffer.taken.items() if self._told.get(tp) != offset
        }
        if not taken:
            return
        try:
            async with asyncio.timeout(TELLING_S):
                await self._consumer.commit(taken)
        except (TimeoutError, KafkaError) as error:
            logger.debug("positions were not committed to the group: %r", error, extra={"agent": self.name})
        else:
            self._told.update(taken)

    async def _isolate_failure(self) -> None:
        """Find the partition that cannot be read, make its runner wait, and let the others continue.

        When one partition fails, aiokafka drops the records it has fetched from others, so each runner seeks its own
        position again.
        """
        self._reassign(self._membership.numbers)
        await self._membership.wait_for_change(ISOLATE_S)
        for runner in list(self._runners.values()):
            for tp in runner.buffer.inputs:
                await self._fetch_one(runner, tp)
        self._reassign(self._membership.numbers)

    async def _fetch_one(self, runner: PartitionRunner, tp: KafkaTopicPartition) -> None:
        try:
            self._distribute(await self._consumer.getmany(tp, timeout_ms=0))
        except OffsetOutOfRangeError:
            runner.restore()
        except Exception as error:  # noqa: BLE001 - as above: a decoder's error is not always a KafkaError
            runner.hold(error)

    def _reassign(self, numbers: Collection[int]) -> None:
        self._membership.assign(numbers)
        for runner in self._runners.values():
            runner.buffer.wake()

    def _distribute(self, fetched: Mapping[KafkaTopicPartition, FetchedRecords]) -> None:
        for tp, records in fetched.items():
            if tp.partition in self._runners:
                self._runners[tp.partition].buffer.put(records, records.size_bytes)

    async def _leave(self) -> None:
        """Let every runner finish its open transaction."""
        buffers = [runner.buffer for runner in self._runners.values()]
        self._reassign(())
        if self._working:
            _, late = await asyncio.wait(self._working, timeout=STOP_S)
            for task in late:
                task.cancel()  # the broker does not respond; the next owner's fence aborts the transaction
        if self._telling is not None:
            await self._telling
        if self._work.tells_group:
            await self._tell(buffers)
