"""The ledger that is checked: what every partition's check needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shieldx.reconciliation.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shieldx.engine.declarations.manifests import Topic
    from shieldx.engine.declarations.transactional import TransactionalAgent
    from shieldx.engine.tasks.checkpoint import TaskStores
    from shieldx.reconciliation.report import BooksReport
    from shieldx.reconciliation.topics import Topics


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The agent, its topics, and where findings go."""

    topics: Topics
    agent: TransactionalAgent
    manifests: Mapping[str, Topic]
    partitions: int
    report: BooksReport
    progress: Callable[[int, int, int], None] = lambda partition, offset, end: None  # noqa: ARG005 - nobody looks
    """Told of a partition, the offset that has been reached, and the one that is to be reached."""
    stores: TaskStores | None = None
    """Where state lies beyond memory; it must be empty."""

    def replay(self, partition: int, fold: Callable[..., Any] | None = None) -> Replay:
        """A partition from its beginning, by the agent's own fold or another one."""
        agent = self.agent if fold is None else replace(self.agent, fold=fold)
        return Replay(
            agent,
            partition,
            topics=self.manifests,
            partitions=self.partitions,
            stores=self.stores if fold is None else None,
        )
