"""What a worker works on: tasks of partitions, made where they are needed."""

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
    """One partition at work. It is crash-only: after any error but `FreeMemory` it is closed and another one made."""

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset of each input, once it has started."""

    @property
    def due_ms(self) -> int | None:
        """The earliest stream time at which an idle partition should tick, or None."""

    @property
    def stream_time_ms(self) -> int:
        """The latest stream time seen, 0 before the first record."""

    @property
    def size_bytes(self) -> int:
        """About how much memory the state takes."""

    async def start(self) -> None:
        """Come to where the work was left. Raises RestoreTask or FixConfiguration."""

    async def process(self, records: Sequence[Record]) -> int:
        """Work on records and commit; returns how many were new. Raises RestoreTask or FreeMemory."""

    async def tick(self) -> None:
        """Do what is due on an idle partition. Raises RestoreTask."""

    async def pass_over(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit positions beyond which there is no record that was not worked on. Raises RestoreTask."""

    async def close(self) -> None:
        """Let go of what was held; never raises."""


class TaskFactory(Protocol):
    """What one worker does."""

    @property
    def name(self) -> str:
        """The agent's or sink's."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The topics whose partition n makes a task."""

    @property
    def tells_group(self) -> bool:
        """Whether the group is told how far the tasks have come, for those who look at its lag."""

    def tasks(self, number: int, metrics: TaskMetrics) -> Callable[[], AnyTask]:
        """What makes the tasks of a partition number, one after the other, while this worker has it."""


@dataclass(frozen=True)
class AgentTaskFactory:
    """The tasks of a transactional agent."""

    agent: TransactionalAgent
    context: TaskContext

    @property
    def name(self) -> str:
        """The agent's."""
        return self.agent.name

    @property
    def reads(self) -> tuple[str, ...]:
        """The agent's inputs."""
        return self.agent.inputs

    @property
    def tells_group(self) -> bool:
        """Yes: Kafka's own tools show an agent's lag by it. The task itself never reads it."""
        return True

    def tasks(self, number: int, metrics: TaskMetrics) -> Callable[[], Task]:
        """Tasks of one partition; the inputs whose outputs were too large are known to those that come later."""
        refused: set[tuple[str, int, int]] = set()
        return lambda: Task(self.agent, number, self.context, metrics, refused)
