"""The ledger being reconciled: what the check of every partition needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shieldx.reconciliation.replay import LedgerReplay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shieldx.engine.declarations.manifests import Topic
    from shieldx.engine.declarations.transactional import TransactionalAgent
    from shieldx.engine.tasks.checkpoint import TaskStores
    from shieldx.engine.tasks.signatures import SigningKeys
    from shieldx.reconciliation.report import ReconciliationReport
    from shieldx.reconciliation.topics import Topics


@dataclass(frozen=True, kw_only=True)
class CheckedLedger:
    """The agent, its topics, and the report."""

    topics: Topics
    agent: TransactionalAgent
    manifests: Mapping[str, Topic]
    partitions: int
    report: ReconciliationReport
    keys: SigningKeys | None = None
    """The keys that check the signatures of commands; None if agents sign nothing."""
    progress: Callable[[int, int, int], None] = lambda partition, offset, end: None  # noqa: ARG005 - ignores progress
    """Called with a partition, the current offset, and the final offset."""
    stores: TaskStores | None = None
    """Stores for state that exceeds memory; must be empty."""

    def replay(self, partition: int, fold: Callable[..., Any] | None = None) -> LedgerReplay:
        """A replay of a partition from its beginning, with the agent's fold or another one."""
        agent = self.agent if fold is None else replace(self.agent, fold=fold)
        return LedgerReplay(
            agent,
            partition,
            topics=self.manifests,
            partitions=self.partitions,
            keys=self.keys,
            stores=self.stores if fold is None else None,
        )
