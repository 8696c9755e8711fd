"""What may still be refunded of the transactions that one partition gave out, by their position there."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from shieldx.state.forms import check_version

if TYPE_CHECKING:
    from shieldx.state.store import StateBatch, StateStore
    from shieldx.state.undo_log import UndoLog

WINDOW_MS = 30 * 24 * 3_600_000
BYTES_EACH = 32
PRUNE_AT_LEAST = 4096
"""Removing a prefix moves the rest, so doing it for every entry would take quadratic time."""
SWEEP_MS = 3_600_000
SWEEP_AT_A_TIME = 10_000
"""How many of the store's oldest entries one checkpoint reads, so that checkpoints stay short."""
_POSITION = struct.Struct(">Q")
_VERSION = 1
_AMOUNT = struct.Struct(">Bqq")


class Refundable(NamedTuple):
    """The refundable amount of a transaction."""

    tenant_id: str
    left: int
    at_ms: int


class RefundableAmounts:
    """Amounts by position, in parallel arrays that are searched by bisection, since positions only grow.

    An entry takes 32 bytes rather than the hundreds of an object in a dictionary; 30 days of entries are kept. With a
    store, the arrays hold only entries that it has not taken yet. Refunds of stored entries are kept separately.
    """

    def __init__(self, table: str, store: StateStore | None, undo_log: UndoLog) -> None:
        """`table` is the store's table: tenant, remaining amount and time, by position."""
        self._table = table
        self._store = store
        self._undo_log = undo_log
        self._positions = array("Q")
        self._tenants = array("Q")
        self._left = array("q")
        self._at_ms = array("q")
        self._numbers: dict[str, int] = {}
        self._refunded: dict[int, Refundable] = {}
        self._floor_ms = self._swept_ms = 0
        self._swept_to = 0
        self._sweeping = (0, 0)
        """The next `_swept_to` and `_swept_ms`, if the store takes the batch."""

    @property
    def size_bytes(self) -> int:
        """Estimated memory of the entries in memory."""
        return len(self._positions) * BYTES_EACH

    def add(self, tenant_id: str, position: int, amount: int, at_ms: int) -> None:
        """Append a refundable transaction; `position` is beyond every earlier one."""
        self._positions.append(position)
        self._tenants.append(self._numbers.setdefault(tenant_id, len(self._numbers)))
        self._left.append(amount)
        self._at_ms.append(at_ms)
        if self._undo_log.active:
            self._undo_log.note(self._remove_last)

    def left(self, tenant_id: str, position: int, at_ms: int) -> int | None:
        """What may still be refunded of the tenant's transaction; None if it is unknown or too old."""
        slot = self._find(tenant_id, position)
        if slot is None:
            kept = self._kept(tenant_id, position)
            return None if kept is None or at_ms - kept.at_ms > WINDOW_MS else kept.left
        return None if at_ms - self._at_ms[slot] > WINDOW_MS else self._left[slot]

    def refund(self, tenant_id: str, position: int, amount: int) -> None:
        """Reduce the refundable amount. A position that the window has dropped is ignored."""
        slot = self._find(tenant_id, position)
        if slot is not None:
            self._left[slot] -= amount
        elif (kept := self._kept(tenant_id, position)) is not None:
            self._refunded[position] = kept._replace(left=kept.left - amount)
        else:
            return
        if self._undo_log.active:
            self._undo_log.note(lambda: self.refund(tenant_id, position, -amount))

    def expire(self, at_ms: int) -> None:
        """Drop transactions that are too old for a refund."""
        floor = self._floor_ms = at_ms - WINDOW_MS
        if len(self._at_ms) <= PRUNE_AT_LEAST or self._at_ms[PRUNE_AT_LEAST] >= floor:
            return
        count = bisect_left(self._at_ms, floor)
        if count * 4 >= len(self._at_ms):
            for column in self._columns():
                del column[:count]

    def flush(self, batch: StateBatch) -> None:
        """Write changes to the store."""
        names, table = list(self._numbers), self._table
        for position, number, left, at_ms in zip(*self._columns(), strict=True):
            batch.put(table, _POSITION.pack(position), _AMOUNT.pack(_VERSION, left, at_ms) + names[number].encode())
        for position, (tenant_id, left, at_ms) in self._refunded.items():
            batch.put(table, _POSITION.pack(position), _AMOUNT.pack(_VERSION, left, at_ms) + tenant_id.encode())
        self._sweeping = self._swept_to, self._swept_ms
        if self._store is not None and self._floor_ms - self._swept_ms >= SWEEP_MS:
            self._sweeping = self._sweep(self._store, batch)

    def flushed(self) -> None:
        """Note that the store has taken everything; memory keeps nothing that the store has."""
        for column in self._columns():
            del column[:]
        self._numbers.clear()
        self._refunded.clear()
        self._swept_to, self._swept_ms = self._sweeping

    def _sweep(self, store: StateStore, batch: StateBatch) -> tuple[int, int]:
        """Remove some of the store's oldest entries. Returns the position and time up to which they are removed."""
        swept_to, swept_ms, stop = self._swept_to, self._floor_ms, _POSITION.pack(2**64 - 1)
        oldest = islice(store.scan(self._table, _POSITION.pack(swept_to), stop), SWEEP_AT_A_TIME)
        for number, (key, value) in enumerate(oldest, 1):
            if _AMOUNT.unpack_from(value)[2] >= self._floor_ms:
                break
            swept_to = _POSITION.unpack(key)[0] + 1
            if number == SWEEP_AT_A_TIME:
                swept_ms = 0  # there may be more: continue at the next checkpoint
        if swept_to > self._swept_to:
            batch.delete_range(self._table, _POSITION.pack(self._swept_to), _POSITION.pack(swept_to))
        return swept_to, swept_ms

    def _kept(self, tenant_id: str, position: int) -> Refundable | None:
        """The stored transaction, with refunds since."""
        kept = self._refunded.get(position)
        if kept is None and self._store is not None:
            value = self._store.get(self._table, _POSITION.pack(position))
            if value is not None:
                check_version("a transaction on disk", value[0], (_VERSION,))
                kept = Refundable(value[_AMOUNT.size :].decode(), *_AMOUNT.unpack_from(value)[1:])
        return kept if kept is not None and kept.tenant_id == tenant_id else None

    def _find(self, tenant_id: str, position: int) -> int | None:
        slot = bisect_left(self._positions, position)
        if slot == len(self._positions) or self._positions[slot] != position:
            return None
        return slot if self._tenants[slot] == self._numbers.get(tenant_id) else None

    def _remove_last(self) -> None:
        for column in self._columns():
            column.pop()

    def _columns(self) -> tuple[array[int], ...]:
        return self._positions, self._tenants, self._left, self._at_ms
