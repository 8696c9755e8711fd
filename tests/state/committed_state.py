"""A partition's state as a task treats it: changes are committed, flushed to a store, and restored elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shieldx.state.partition_state import PartitionState
from tests.dict_store import DictStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.state.table import Change, TableSpec


class CommittedState:
    """With `on_disk`, every commit flushes to a store and evicts, so that the next read comes from the store."""

    def __init__(self, *specs: TableSpec[Any], on_disk: bool = False) -> None:
        self._specs = specs
        self._store = DictStore() if on_disk else None
        self.changelog: list[Change] = []
        self._open()

    def commit(self) -> Sequence[Change]:
        changes = list(self.state.changes())
        self.changelog += changes
        if self._store is not None:
            batch = self._store.begin()
            self.state.flush(batch)
            self._store.apply(batch)
            self.state.flushed(evict=True)
        return changes

    def expire(self, at_ms: int) -> None:
        while self.state.expire(at_ms, 2):
            self.commit()
        self.commit()

    def restart(self) -> None:
        """Open the state again: from the store, or from the changelog."""
        self._open()
        if self._store is None:
            for change in self.changelog:
                self.state.restore(change.topic, change.key, change.value)

    def on_disk(self) -> int:
        """How many rows and index entries the store has."""
        assert self._store is not None
        return sum(1 for table in self._store.tables() for _ in self._store.scan(table, b"", b"\xff" * 9))

    def _open(self) -> None:
        self.state = PartitionState(self._specs, store=self._store)
        self.context = self.state.context()
