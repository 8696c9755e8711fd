"""Accounts by tenant. Those in use are in memory; the store, if there is one, has all of them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.credits import tables
from shieldx.domains.credits.outcomes import Balances
from shieldx.state.forms import check_version
from shieldx.state.table import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.state.store import StateBatch, StateStore
    from shieldx.state.table import TableContext

BYTES_EACH = 500
TABLE = "accounts"
"""Table of the store: packed balances by tenant."""
_VERSION = 1
_FIGURES = struct.Struct(">B4q")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tables.AccountRow).decode


class Accounts:
    """The balances of each tenant."""

    due_ms = None

    def __init__(self, context: TableContext) -> None:
        self._undo_log = context.undo_log
        self._store = context.store
        self._hot: dict[str, Balances | None] = {}
        self._unflushed: set[str] = set()
        self._changed: set[str] = set()

    @property
    def size_bytes(self) -> int:
        """Estimated memory of the accounts in memory."""
        return len(self._hot) * BYTES_EACH

    def get(self, tenant_id: str) -> Balances | None:
        """The balances of a tenant, or None before its first purchase."""
        try:
            return self._hot[tenant_id]
        except KeyError:
            return None if self._store is None else self._fetch(self._store, tenant_id)

    def put(self, tenant_id: str, figures: Balances) -> None:
        """Set a tenant's balances."""
        if self._undo_log.active:
            old = self.get(tenant_id)
            self._undo_log.note(lambda: self._load(tenant_id, old))
        self._load(tenant_id, figures)
        self._changed.add(tenant_id)

    def expire(self, at_ms: int, limit: int) -> bool:  # noqa: ARG002 - accounts never expire
        """Nothing is due."""
        return False

    def changes(self) -> Iterator[Change]:
        """The account of each tenant that changed since the last call."""
        for tenant_id in self._changed:
            figures = self.get(tenant_id)
            row = None if figures is None else _encode(tables.AccountRow(tenant_id, *figures))
            yield Change(tables.ACCOUNTS, tenant_id.encode(), row, tables.AccountRow)
        self._changed.clear()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Restore one record of the changelog."""
        if value is None:
            self._load(key.decode(), None)
            return
        row = _decode(value)
        figures = Balances(row.balance, row.reserved_funds, row.total_spent, row.total_purchased)
        self._load(row.tenant_id, figures)

    def flush(self, batch: StateBatch) -> None:
        """Write changes to the store."""
        for tenant_id in self._unflushed:
            figures = self._hot[tenant_id]
            if figures is None:
                batch.delete(TABLE, tenant_id.encode())
            else:
                batch.put(TABLE, tenant_id.encode(), _FIGURES.pack(_VERSION, *figures))

    def flushed(self, *, evict: bool) -> None:
        """Note that the store has taken everything. Memory keeps accounts in use unless `evict` is set."""
        self._unflushed.clear()
        if evict:
            self._hot.clear()

    def _load(self, tenant_id: str, figures: Balances | None) -> None:
        """Set or remove an account without counting it as a change."""
        if self._store is not None:
            self._hot[tenant_id] = figures  # None hides a row that is still in the store
            self._unflushed.add(tenant_id)
        elif figures is None:
            self._hot.pop(tenant_id, None)
        else:
            self._hot[tenant_id] = figures

    def _fetch(self, store: StateStore, tenant_id: str) -> Balances | None:
        packed = store.get(TABLE, tenant_id.encode())
        if packed is None:
            return None
        check_version("an account on disk", packed[0], (_VERSION,))
        figures = self._hot[tenant_id] = Balances(*_FIGURES.unpack(packed)[1:])
        return figures
