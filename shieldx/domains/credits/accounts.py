"""Accounts by tenant: those in use in memory, all of them in the store if there is one."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from shieldx.domains.credits.outcomes import Figures

if TYPE_CHECKING:
    from shieldx.domains.credits.journal import Journal
    from shieldx.state.store import StateBatch, StateStore

BYTES_EACH = 500
TABLE = "accounts"
_FIGURES = struct.Struct(">4q")


class Accounts:
    """The figures of each tenant."""

    def __init__(self, journal: Journal, store: StateStore | None) -> None:
        self._journal = journal
        self._store = store
        self._hot: dict[str, Figures | None] = {}
        self._unflushed: set[str] = set()
        self.changed: set[str] = set()

    @property
    def size_bytes(self) -> int:
        """About how much memory those in memory take."""
        return len(self._hot) * BYTES_EACH

    def get(self, tenant_id: str) -> Figures | None:
        """The figures of a tenant, or None before its first purchase."""
        try:
            return self._hot[tenant_id]
        except KeyError:
            return None if self._store is None else self._fetch(self._store, tenant_id)

    def put(self, tenant_id: str, figures: Figures) -> None:
        """Set a tenant's figures."""
        if self._journal.active:
            old = self.get(tenant_id)
            self._journal.note(lambda: self.load(tenant_id, old))
        self.load(tenant_id, figures)
        self.changed.add(tenant_id)

    def load(self, tenant_id: str, figures: Figures | None) -> None:
        """Set or remove an account without counting it as a change."""
        if self._store is not None:
            self._hot[tenant_id] = figures  # None as well: it hides what the store still has
            self._unflushed.add(tenant_id)
        elif figures is None:
            self._hot.pop(tenant_id, None)
        else:
            self._hot[tenant_id] = figures

    def flush(self, batch: StateBatch) -> None:
        """Give the store what changed since it last took everything."""
        for tenant_id in self._unflushed:
            figures = self._hot[tenant_id]
            if figures is None:
                batch.delete(TABLE, tenant_id.encode())
            else:
                batch.put(TABLE, tenant_id.encode(), _FIGURES.pack(*figures))

    def flushed(self, *, evict: bool) -> None:
        """The store has taken everything; keep in memory what is in use, unless it must make room."""
        self._unflushed.clear()
        if evict:
            self._hot.clear()

    def _fetch(self, store: StateStore, tenant_id: str) -> Figures | None:
        packed = store.get(TABLE, tenant_id.encode())
        if packed is None:
            return None
        figures = self._hot[tenant_id] = Figures(*_FIGURES.unpack(packed))
        return figures
