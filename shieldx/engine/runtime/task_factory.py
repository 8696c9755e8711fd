"""Creates the tasks of a worker's partitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shieldx.engine.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shieldx.engine.declarations.transactional import TransactionalAgent
    from shieldx.engine.operations.metrics import TaskMetrics
    from shieldx.engine.tasks.context import TaskContext
    from shieldx.engine.tasks.log import Record, TopicPartition


class AnyTask(Protocol):
    """The task of one partition. It is crash-only: after any error except `FreeMemory` it is closed and replaced."""

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset of each input, after `start`."""

    @property
    def due_ms(self) -> int | None:
        """The earliest stream time at which an idle partition should tick, or None."""

    @property
    def stream_time_ms(self) -> int:
        """The latest stream time seen, 0 before the first record."""

    @property
    def size_bytes(self) -> int:
        """Estimated memory of the state."""

    async def start(self) -> None:
        """Restore the state. Raises RestoreTask or FixConfiguration."""

    async def process(self, records: Sequence[Record]) -> int:
        """Process records and commit. Returns how many were new. Raises RestoreTask or FreeMemory."""

    async def tick(self) -> None:
        """Do what is due in an idle partition. Raises RestoreTask."""

    async def pass_over(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit positions that have moved past markers but no records. Raises RestoreTask."""

    async def close(self) -> None:
        """Release everything. Never raises."""


class TaskFactory(Protocol):
    """Creates the tasks of one worker."""

    @property
    def name(self) -> str:
        """The name of the agent or sink."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The topics whose partitions number n make up a task."""

    @property
    def tells_group(self) -> bool:
        """Whether positions are also committed to the group, so that Kafka's tools show its lag."""

    async def topic_ids(self) -> Mapping[str, str]:
        """The ids of the topics that must not be deleted and created again. Raises RestoreTask or FixConfiguration."""

    def tasks(self, number: int, metrics: TaskMetrics) -> Callable[[], AnyTask]:
        """A function that creates the tasks of a partition number, one after the other."""


@dataclass(frozen=True)
class AgentTaskFactory:
    """Creates the tasks of a transactional agent."""

    agent: TransactionalAgent
    context: TaskContext

    @property
    def name(self) -> str:
        """The agent's name."""
        return self.agent.name

    @property
    def reads(self) -> tuple[str, ...]:
        """The agent's inputs."""
        return self.agent.inputs

    @property
    def tells_group(self) -> bool:
        """True: Kafka's tools show an agent's lag by it. The task itself never reads it."""
        return True

    async def topic_ids(self) -> Mapping[str, str]:
        """The ids of the agent's inputs and tables.

        Raises:
            FixConfiguration: an ACL is missing.
            RestoreTask: the brokers do not respond.
        """
        return await self.context.log.topic_ids([*self.agent.inputs, *self.agent.tables])

    def tasks(self, number: int, metrics: TaskMetrics) -> Callable[[], Task]:
        """A function that creates tasks of one partition. They share the set of inputs whose outputs were too large."""
        refused: set[tuple[str, int, int]] = set()
        return lambda: Task(self.agent, number, self.context, metrics, refused)
