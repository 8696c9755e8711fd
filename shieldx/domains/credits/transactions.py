"""What may still be refunded: the consumes and commits of the last 30 days."""

from __future__ import annotations

import re
import struct
from array import array
from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from shieldx.domains.credits.journal import Journal
    from shieldx.state.store import StateBatch, StateStore

WINDOW_MS = 30 * 24 * 3_600_000
SLOTS = 1024
"""Numbers within one record: 0 for a command of its own, 1 + index for one of a batch (at most 1,000)."""
BYTES_EACH = 32
_TRANSACTION_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,16})(?:-([0-9]{1,4}))?")
PRUNE_AT_LEAST = 4096
"""Removing a prefix moves the rest: doing it for every entry would cost the square of the window."""
TABLE = "refundable"
"""Table of the store: tenant, amount left and time, by position."""
SWEEP_MS = 3_600_000
SWEEP_AT_A_TIME = 10_000
"""How many of the store's oldest entries are looked at in one checkpoint, so that none of them lasts long."""


def position_of(offset: int, index: int | None) -> int:
    """The place of a command in its partition as one number that grows with the log."""
    return offset * SLOTS + (0 if index is None else index + 1)


def offset_and_index(position: int) -> tuple[int, int | None]:
    """The offset of a position, and the index within a batch if it has one."""
    offset, slot = divmod(position, SLOTS)
    return offset, slot - 1 if slot else None


def transaction_id_of(partition: int, position: int) -> str:
    """`<partition>-<offset>[-<index in batch>]`."""
    offset, slot = divmod(position, SLOTS)
    return f"{partition}-{offset}-{slot - 1}" if slot else f"{partition}-{offset}"


def parse_transaction_id(partition: int, transaction_id: str) -> int | None:
    """The position that an id of this partition names, or None: only what this ledger could have given out."""
    match = _TRANSACTION_ID.fullmatch(transaction_id)
    if match is None:
        return None
    offset, index = int(match[2]), None if match[3] is None else int(match[3])
    if index is not None and index >= SLOTS - 1:
        return None
    position = position_of(offset, index)
    return position if transaction_id_of(partition, position) == transaction_id else None


_POSITION = struct.Struct(">Q")
_AMOUNT = struct.Struct(">qq")


class Refundable(NamedTuple):
    """What may still be refunded of a transaction."""

    tenant_id: str
    left: int
    at_ms: int


class Transactions:
    """Amounts by position, as parallel arrays: positions only grow, so a bisection is the index.

    32 bytes each instead of the hundreds of a dictionary of objects; 30 days of them are kept. With a store, the arrays
    have only what it has not taken yet, and what was refunded of what it has lies beside them.
    """

    def __init__(self, journal: Journal, store: StateStore | None) -> None:
        self._journal = journal
        self._store = store
        self._positions = array("Q")
        self._tenants = array("Q")
        self._left = array("q")
        self._at_ms = array("q")
        self._numbers: dict[str, int] = {}
        self._refunded: dict[int, Refundable] = {}
        self._floor_ms = self._swept_ms = 0
        self._swept_to = 0
        self._sweeping = (0, 0)
        """What `_swept_to` and `_swept_ms` become once the store has taken the batch, which it may refuse."""

    @property
    def size_bytes(self) -> int:
        """About how much memory those in memory take."""
        return len(self._positions) * BYTES_EACH

    def add(self, tenant_id: str, position: int, amount: int, at_ms: int) -> None:
        """Append a refundable transaction; `position` is beyond every earlier one."""
        self._positions.append(position)
        self._tenants.append(self._numbers.setdefault(tenant_id, len(self._numbers)))
        self._left.append(amount)
        self._at_ms.append(at_ms)
        if self._journal.active:
            self._journal.note(self._remove_last)

    def left(self, tenant_id: str, position: int, at_ms: int) -> int | None:
        """What may still be refunded of the tenant's transaction; None when it is unknown or too old."""
        slot = self._find(tenant_id, position)
        if slot is None:
            kept = self._kept(tenant_id, position)
            return None if kept is None or at_ms - kept.at_ms > WINDOW_MS else kept.left
        return None if at_ms - self._at_ms[slot] > WINDOW_MS else self._left[slot]

    def refund(self, tenant_id: str, position: int, amount: int) -> None:
        """Lower what is left; a position that the window has dropped is passed over."""
        slot = self._find(tenant_id, position)
        if slot is not None:
            self._left[slot] -= amount
        elif (kept := self._kept(tenant_id, position)) is not None:
            self._refunded[position] = kept._replace(left=kept.left - amount)
        else:
            return
        if self._journal.active:
            self._journal.note(lambda: self.refund(tenant_id, position, -amount))

    def prune(self, at_ms: int) -> None:
        """Drop what no refund can reach any more."""
        floor = self._floor_ms = at_ms - WINDOW_MS
        if len(self._at_ms) <= PRUNE_AT_LEAST or self._at_ms[PRUNE_AT_LEAST] >= floor:
            return
        count = bisect_left(self._at_ms, floor)
        if count * 4 >= len(self._at_ms):
            for column in self._columns():
                del column[:count]

    def flush(self, batch: StateBatch) -> None:
        """Give the store what changed since it last took everything."""
        names = list(self._numbers)
        for position, number, left, at_ms in zip(*self._columns(), strict=True):
            batch.put(TABLE, _POSITION.pack(position), _AMOUNT.pack(left, at_ms) + names[number].encode())
        for position, (tenant_id, left, at_ms) in self._refunded.items():
            batch.put(TABLE, _POSITION.pack(position), _AMOUNT.pack(left, at_ms) + tenant_id.encode())
        self._sweeping = self._swept_to, self._swept_ms
        if self._store is not None and self._floor_ms - self._swept_ms >= SWEEP_MS:
            self._sweeping = self._sweep(self._store, batch)

    def flushed(self, *, evict: bool) -> None:  # noqa: ARG002 - nothing is kept in memory that the store has
        """The store has taken everything."""
        for column in self._columns():
            del column[:]
        self._numbers.clear()
        self._refunded.clear()
        self._swept_to, self._swept_ms = self._sweeping

    def _sweep(self, store: StateStore, batch: StateBatch) -> tuple[int, int]:
        """Remove the store's oldest entries, a bounded number at a time; returns up to where, and as of when."""
        swept_to, swept_ms, stop = self._swept_to, self._floor_ms, _POSITION.pack(2**64 - 1)
        oldest = islice(store.scan(TABLE, _POSITION.pack(swept_to), stop), SWEEP_AT_A_TIME)
        for number, (key, value) in enumerate(oldest, 1):
            if _AMOUNT.unpack_from(value)[1] >= self._floor_ms:
                break
            swept_to = _POSITION.unpack(key)[0] + 1
            if number == SWEEP_AT_A_TIME:
                swept_ms = 0  # there may be more: go on at the next checkpoint
        if swept_to > self._swept_to:
            batch.delete_range(TABLE, _POSITION.pack(self._swept_to), _POSITION.pack(swept_to))
        return swept_to, swept_ms

    def _kept(self, tenant_id: str, position: int) -> Refundable | None:
        """What the store has, or what became of it since."""
        kept = self._refunded.get(position)
        if kept is None and self._store is not None:
            value = self._store.get(TABLE, _POSITION.pack(position))
            if value is not None:
                kept = Refundable(value[_AMOUNT.size :].decode(), *_AMOUNT.unpack_from(value))
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
