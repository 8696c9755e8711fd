"""Keeps one task running for a partition number, as long as the worker is assigned that number."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from shieldx.engine.operations.open_transactions import OpenTransactions
from shieldx.engine.runtime.idle_clock import IDLE_S, IdleClock
from shieldx.engine.tasks.codec import is_tick
from shieldx.errors import FixConfiguration, FreeMemory, LeaveTask, RestoreTask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shieldx.engine.operations.metrics import TaskMetrics
    from shieldx.engine.operations.open_transactions import OpenTransaction
    from shieldx.engine.runtime.membership import Membership
    from shieldx.engine.runtime.memory_limit import MemoryLimit
    from shieldx.engine.runtime.partition_buffer import PartitionBuffer
    from shieldx.engine.runtime.task_factory import AnyTask
    from shieldx.engine.tasks.log import Record

logger = logging.getLogger(__name__)

EVICTION_S = 3.0
"""About a heartbeat interval, after which an evicted worker knows it."""
ASSIGNMENT_S = 1.0
HOLD_S = 5.0
LONGEST_BACKOFF_S = 5.0
MEMORY_RETRY_S = 1.0


class PartitionRunner:
    """Starts tasks, feeds them from the buffer, and replaces them after an error."""

    def __init__(
        self,
        name: str,
        number: int,
        make_task: Callable[[], AnyTask],
        membership: Membership,
        buffer: PartitionBuffer,
        memory: MemoryLimit,
        metrics: TaskMetrics,
    ) -> None:
        self._number = number
        self._make_task = make_task
        self._membership = membership
        self.buffer = buffer
        self._memory = memory
        self._metrics = metrics
        self._must_restore = False
        self._failures = 0
        self._held_until_s: float | None = None
        self._fed = False
        self._waiting = False
        self._open_transactions = OpenTransactions(monotonic)
        self._reported: OpenTransaction | None = None
        self.trouble: str | None = None
        """The last error, until records are processed again or none are left."""
        self._place = {"agent": name, "partition": number}

    @property
    def running(self) -> bool:
        """Whether a task is running, in no trouble, and waits for nothing: memory, a partition, an open transaction."""
        waits = self._waiting or self._held_until_s is not None or self.held_up is not None
        return self._fed and self.trouble is None and not waits

    @property
    def held_up(self) -> OpenTransaction | None:
        """A transaction in an input that has been open for too long."""
        return self._open_transactions.held_up()

    @property
    def reasons(self) -> list[str]:
        """What keeps the partition from going on, each in one line."""
        return [" ".join(str(reason).split()) for reason in (self.trouble, self.held_up) if reason is not None]

    def restore(self) -> None:
        """Replace the current task."""
        self._must_restore = True
        self.buffer.wake()

    def hold(self, error: Exception) -> None:
        """Pause fetching for a while, since the records at this position cannot be read."""
        if self._held_until_s is None:
            positions = ", ".join(f"{tp.topic}/{tp.partition}" for tp in self.buffer.inputs)
            logger.error("%s cannot be read and waits: %r", positions, error, extra=self._place)
        self._held_until_s = monotonic() + HOLD_S
        self.buffer.pause()

    async def work(self) -> None:
        """Keep a task running until the number is assigned elsewhere.

        Raises:
            FixConfiguration: no task can run until something is changed.
        """
        while self._membership.generation_of(self._number) is not None:
            task = self._make_task()
            self._memory.add(task)
            try:
                with self._metrics.restoring():
                    await task.start()
                await self._feed(task)
            except LeaveTask as error:
                # Restoring at once would fence the rightful owner if this worker was evicted.
                self._metrics.fenced.inc()
                self._log("fenced", error)
                await self._membership.wait_for_change(EVICTION_S)
            except RestoreTask as error:
                self._log("restoring after an error", error)
                await self._back_off(str(error))
            except FixConfiguration:
                raise
            except Exception as error:
                # A defect, most likely in a fold. It must stop only its own partition, and be visible.
                logger.exception("restoring after a defect", extra=self._place)
                await self._back_off(f"a defect, {type(error).__name__}: see the log")
            finally:
                self._fed = self._waiting = False
                self._open_transactions.saw({})  # nothing is measured before the next task runs
                await task.close()

    async def _back_off(self, trouble: str) -> None:
        """Pause before a restart, ever longer; but not after the first failure, since a transaction may be open."""
        self.trouble = trouble
        self._metrics.failing.set(len(self.buffer.first()))
        self._metrics.restarts.inc()
        self._failures += 1
        if self._failures > 1:
            await self._membership.wait_for_change(min(0.05 * 2**self._failures, LONGEST_BACKOFF_S))

    async def _feed(self, task: AnyTask) -> None:
        clock = IdleClock(monotonic)
        generation = None
        while (assigned := self._membership.generation_of(self._number)) is not None:
            if self._must_restore:
                self._must_restore = False
                raise RestoreTask("the position is out of the topic's range")
            if self._held_until_s is not None:
                if monotonic() < self._held_until_s:
                    self.buffer.pause()  # the current batch may have resumed it
                    await self._membership.wait_for_change(HOLD_S)
                    continue
                self._held_until_s, generation = None, None
            if assigned != generation:
                # A task that stays continues from its own position; a rebalance redelivers from the committed one.
                if not self.buffer.restart(task.positions):
                    await self._membership.wait_for_change(ASSIGNMENT_S)
                    continue
                generation = assigned
                self._fed = True
            records = self.buffer.first()
            if records:
                await self._process(task, records, clock)
            elif clock.tick_due(task.due_ms, task.stream_time_ms):
                clock.ticked()
                await task.tick()
                self._works()
            else:
                await self._pass_over(task, generation)
                await self.buffer.wait(IDLE_S / 2)
                if not await self._measure():
                    self._works()

    def _works(self) -> None:
        """Forget the trouble. A task that has merely started may fail at the same records as the one before it."""
        if self.trouble is not None:
            self.trouble = None
            self._metrics.failing.set(0)

    async def _pass_over(self, task: AnyTask, generation: int) -> None:
        """Move the position past the marker of the last transaction.

        Otherwise retention would delete the marker, and the next start would take it for a record deleted unread.
        """
        passed = await self.buffer.passed(task.positions)
        same = self._membership.generation_of(self._number) == generation
        if passed and same and not self._must_restore and self._held_until_s is None:
            await task.pass_over(passed)

    async def _process(self, task: AnyTask, records: Sequence[Record], clock: IdleClock) -> None:
        try:
            await task.process(records)
        except FreeMemory as error:
            if not self._waiting:
                self._log("waiting for memory", error)
            self._waiting = True
            self._metrics.waiting.set(1)
            await self._membership.wait_for_change(MEMORY_RETRY_S)
            return
        self._waiting = False
        self._metrics.waiting.set(0)
        self._failures = 0
        self._works()
        self.buffer.remove(len(records))
        clock.saw_records(only_ticks=len(records) == 1 and is_tick(records[0]))
        await self._measure()

    async def _measure(self) -> int:
        """Measure what is waiting. Returns the lag."""
        lag = await self.buffer.lag()
        self._metrics.lag.set(lag)
        self._open_transactions.saw(self.buffer.ends())
        self._metrics.open_transaction_s.set(self._open_transactions.open_s(self._number))
        held_up = self.held_up
        if held_up is not None and self._reported is None:
            logger.error("%s; `shieldx status` names its producer", held_up, extra=self._place)
        self._reported = held_up
        return lag

    def _log(self, event: str, error: Exception) -> None:
        logger.warning("%s: %s", event, error, extra=self._place)
