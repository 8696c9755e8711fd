"""One partition of a fold without the engine: what a task would restore, ask, commit and flush."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from shieldx.domains.audit import state as audit_state
from shieldx.domains.audit.fold import AuditFold
from shieldx.domains.credits import state as credits_state
from shieldx.domains.credits.fold import CreditsFold
from shieldx.domains.shadow import state as shadow_state
from shieldx.domains.shadow.fold import ShadowFold
from shieldx.state.partition_state import PartitionState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shieldx.messages import Output, Source
    from shieldx.state.partition_state import FoldContext
    from shieldx.state.store import StateBatch, StateStore
    from shieldx.state.table import Change, TableSpec


class OpenPartition:
    """Tables, and the fold that is created with the first message, when the tables are restored."""

    def __init__(
        self,
        specs: Sequence[TableSpec[Any]],
        make: Callable[[FoldContext], Any],
        partition: int = 0,
        max_record_bytes: int = 1_000_000,
        store: StateStore | None = None,
    ) -> None:
        self._make = make
        self._max_record_bytes = max_record_bytes
        self._fold: Any = None
        self.state = PartitionState(specs, partition, store)

    @property
    def fold(self) -> Any:
        if self._fold is None:
            self._fold = self._make(self.state.context(self._max_record_bytes))
        return self._fold

    @property
    def due_ms(self) -> int | None:
        _ = self.fold
        return self.state.due_ms

    @property
    def size_bytes(self) -> int:
        return self.state.size_bytes

    def apply(self, message: Any, source: Source) -> list[Output]:
        outputs: list[Output] = self.fold.apply(message, source)
        return outputs

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:
        more = self.state.expire(at_ms, limit)
        outputs, more_in_fold = self.fold.expire(at_ms, limit) if hasattr(self.fold, "expire") else ([], False)
        return outputs, more or more_in_fold

    def changes(self) -> Iterator[Change]:
        return self.state.changes()

    def restore(self, topic: str, key: bytes, value: bytes | None) -> None:
        self.state.restore(topic, key, value)

    def flush(self, batch: StateBatch) -> None:
        """Commit what changed, then flush: a task flushes only what is committed."""
        for _ in self.changes():
            pass
        self.state.flush(batch)

    def flushed(self, *, evict: bool) -> None:
        self.state.flushed(evict=evict)


def credits_partition(
    partition: int = 0, max_result_bytes: int = 1_000_000, store: StateStore | None = None
) -> OpenPartition:
    return OpenPartition(credits_state.STATE, CreditsFold, partition, max_result_bytes, store)


def audit_partition(partition: int = 0, *, store: StateStore | None = None, **parameters: Any) -> OpenPartition:
    return OpenPartition(audit_state.STATE, partial(AuditFold, **parameters), partition, store=store)


def shadow_partition(partition: int = 0, *, store: StateStore | None = None, **parameters: Any) -> OpenPartition:
    return OpenPartition(shadow_state.STATE, partial(ShadowFold, **parameters), partition, store=store)
