"""What may still be refunded: the consumes and commits of the last 30 days."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shieldx.credits.journal import Journal

WINDOW_MS = 30 * 24 * 3_600_000
SLOTS = 1024
"""Numbers within one record: 0 for a command of its own, 1 + index for one of a batch (at most 1,000)."""
BYTES_EACH = 32
_TRANSACTION_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,16})(?:-([0-9]{1,4}))?")
PRUNE_AT_LEAST = 4096
"""Removing a prefix moves the rest: doing it for every entry would cost the square of the window."""


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


class Transactions:
    """Amounts by position, as parallel arrays: positions only grow, so a bisection is the index.

    32 bytes each instead of the hundreds of a dictionary of objects; 30 days of them are kept.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._positions = array("Q")
        self._tenants = array("Q")
        self._left = array("q")
        self._at_ms = array("q")
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._positions)

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
        if slot is None or at_ms - self._at_ms[slot] > WINDOW_MS:
            return None
        return self._left[slot]

    def refund(self, tenant_id: str, position: int, amount: int) -> None:
        """Lower what is left; a position that the window has dropped is passed over."""
        slot = self._find(tenant_id, position)
        if slot is None:
            return
        self._left[slot] -= amount
        if self._journal.active:
            self._journal.note(lambda: self.refund(tenant_id, position, -amount))

    def prune(self, at_ms: int) -> None:
        """Drop what no refund can reach any more."""
        floor = at_ms - WINDOW_MS
        if len(self._at_ms) <= PRUNE_AT_LEAST or self._at_ms[PRUNE_AT_LEAST] >= floor:
            return
        count = bisect_left(self._at_ms, floor)
        if count * 4 >= len(self._at_ms):
            for column in self._columns():
                del column[:count]

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
