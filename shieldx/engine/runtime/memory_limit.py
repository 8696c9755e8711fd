"""The memory limit of the state of all tasks in a process."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from shieldx.engine.runtime.task_factory import AnyTask


class MemoryLimit:
    """Sums the tasks' own estimates. A closed task no longer counts."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._tasks: WeakSet[AnyTask] = WeakSet()

    def add(self, task: AnyTask) -> None:
        """Count a task."""
        self._tasks.add(task)

    def free(self) -> bool:
        """Whether the state is below the limit."""
        return sum(task.size_bytes for task in self._tasks) < self._limit_bytes

    def share_bytes(self) -> float:
        """An equal share for each task. A task with a store evicts state beyond its share."""
        return self._limit_bytes / max(1, len(self._tasks))
