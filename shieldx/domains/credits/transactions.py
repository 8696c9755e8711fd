"""Refundable transactions: the consumes and commits of the last 30 days."""

from __future__ import annotations

import re
import struct
from array import array
from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.credits import tables
from shieldx.domains.credits.messages import TAGS, Commit, Consume, Purchase, Refund
from shieldx.state.forms import check_version
from shieldx.state.row_key import row_key
from shieldx.state.table import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.state.store import StateBatch, StateStore
    from shieldx.state.table import TableContext

WINDOW_MS = 30 * 24 * 3_600_000
SLOTS = 1024
"""Numbers per record: 0 for a single command, 1 + index for one of a batch (at most 1,000)."""
BYTES_EACH = 32
_TRANSACTION_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,16})(?:-([0-9]{1,4}))?")
PRUNE_AT_LEAST = 4096
"""Removing a prefix moves the rest, so doing it for every entry would take quadratic time."""
TABLE = "refundable"
"""Table of the store: tenant, remaining amount and time, by position."""
SWEEP_MS = 3_600_000
SWEEP_AT_A_TIME = 10_000
"""How many of the store's oldest entries one checkpoint reads, so that checkpoints stay short."""


def position_of(offset: int, index: int | None) -> int:
    """The place of a command in its partition as one increasing number."""
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
    """The position that an id of this partition names, or None if this ledger cannot have issued the id."""
    match = _TRANSACTION_ID.fullmatch(transaction_id)
    if match is None:
        return None
    offset, index = int(match[2]), None if match[3] is None else int(match[3])
    if index is not None and index >= SLOTS - 1:
        return None
    position = position_of(offset, index)
    return position if transaction_id_of(partition, position) == transaction_id else None


def position_in(partition: int, transaction_id: str) -> int:
    """The position that an id in a table of this partition names.

    Raises:
        ValueError: the id is not one of this partition.
    """
    position = parse_transaction_id(partition, transaction_id)
    if position is None:
        raise ValueError(f"a table of partition {partition} holds transaction {transaction_id!r}")
    return position


_POSITION = struct.Struct(">Q")
_VERSION = 1
_AMOUNT = struct.Struct(">Bqq")
_REFUNDABLE = {TAGS[Consume], TAGS[Commit]}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tables.TransactionRow).decode


Posted = Purchase | Consume | Commit | Refund
"""The commands that move credits."""


class Posting(msgspec.Struct, frozen=True, gc=False):
    """A movement of credits, for the changelog."""

    command: Posted
    position: int
    amount: int
    balance: int
    at_ms: int


class Refundable(NamedTuple):
    """The refundable amount of a transaction."""

    tenant_id: str
    left: int
    at_ms: int


class Transactions:
    """Amounts by position, in parallel arrays that are searched by bisection, since positions only grow.

    An entry takes 32 bytes rather than the hundreds of an object in a dictionary; 30 days of entries are kept. With a
    store, the arrays hold only entries that it has not taken yet. Refunds of stored entries are kept separately.
    """

    due_ms = None

    def __init__(self, context: TableContext) -> None:
        self._partition = context.partition
        self._undo_log = context.undo_log
        self._store = context.store
        self._postings: list[Posting] = []
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
        """Estimated memory of the transactions in memory."""
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

    def post(self, command: Posted, position: int, amount: int, balance: int, at_ms: int) -> None:
        """Add a movement of credits to the changelog. Consumes and commits may be refunded from now on."""
        self._postings.append(Posting(command, position, amount, balance, at_ms))
        if self._undo_log.active:
            self._undo_log.note(self._unpost)
        if type(command) is Consume or type(command) is Commit:
            self.add(command.tenant_id, position, amount, at_ms)

    def expire(self, at_ms: int, limit: int) -> bool:  # noqa: ARG002 - arrays are cut at once
        """Drop transactions that are too old for a refund."""
        floor = self._floor_ms = at_ms - WINDOW_MS
        if len(self._at_ms) <= PRUNE_AT_LEAST or self._at_ms[PRUNE_AT_LEAST] >= floor:
            return False
        count = bisect_left(self._at_ms, floor)
        if count * 4 >= len(self._at_ms):
            for column in self._columns():
                del column[:count]
        return False

    def changes(self) -> Iterator[Change]:
        """A row for each movement since the last call."""
        for posting in self._postings:
            command = posting.command
            transaction_id = transaction_id_of(self._partition, posting.position)
            row = tables.TransactionRow(
                command.tenant_id,
                transaction_id,
                TAGS[type(command)],
                posting.amount,
                posting.balance,
                posting.at_ms,
                command.idempotency_key,
                command.description,
                command.transaction_id if type(command) is Refund else msgspec.UNSET,
            )
            key = row_key(command.tenant_id, transaction_id)
            yield Change(tables.TRANSACTIONS, key, _encode(row), tables.TransactionRow)
        self._postings.clear()

    def restore(self, key: bytes, value: bytes | None) -> None:  # noqa: ARG002 - a row needs no key
        """Restore one record of the changelog."""
        if value is None:
            return
        row = _decode(value)
        if row.type in _REFUNDABLE:
            self.add(row.tenant_id, position_in(self._partition, row.transaction_id), row.amount, row.at_ms)
        elif row.refunds is not msgspec.UNSET:
            self.refund(row.tenant_id, position_in(self._partition, row.refunds), row.amount)

    def flush(self, batch: StateBatch) -> None:
        """Write changes to the store."""
        names = list(self._numbers)
        for position, number, left, at_ms in zip(*self._columns(), strict=True):
            batch.put(TABLE, _POSITION.pack(position), _AMOUNT.pack(_VERSION, left, at_ms) + names[number].encode())
        for position, (tenant_id, left, at_ms) in self._refunded.items():
            batch.put(TABLE, _POSITION.pack(position), _AMOUNT.pack(_VERSION, left, at_ms) + tenant_id.encode())
        self._sweeping = self._swept_to, self._swept_ms
        if self._store is not None and self._floor_ms - self._swept_ms >= SWEEP_MS:
            self._sweeping = self._sweep(self._store, batch)

    def flushed(self, *, evict: bool) -> None:  # noqa: ARG002 - memory keeps nothing that the store has
        """Note that the store has taken everything."""
        for column in self._columns():
            del column[:]
        self._numbers.clear()
        self._refunded.clear()
        self._swept_to, self._swept_ms = self._sweeping

    def _sweep(self, store: StateStore, batch: StateBatch) -> tuple[int, int]:
        """Remove some of the store's oldest entries. Returns the position and time up to which they are removed."""
        swept_to, swept_ms, stop = self._swept_to, self._floor_ms, _POSITION.pack(2**64 - 1)
        oldest = islice(store.scan(TABLE, _POSITION.pack(swept_to), stop), SWEEP_AT_A_TIME)
        for number, (key, value) in enumerate(oldest, 1):
            if _AMOUNT.unpack_from(value)[2] >= self._floor_ms:
                break
            swept_to = _POSITION.unpack(key)[0] + 1
            if number == SWEEP_AT_A_TIME:
                swept_ms = 0  # there may be more: continue at the next checkpoint
        if swept_to > self._swept_to:
            batch.delete_range(TABLE, _POSITION.pack(self._swept_to), _POSITION.pack(swept_to))
        return swept_to, swept_ms

    def _kept(self, tenant_id: str, position: int) -> Refundable | None:
        """The stored transaction, with refunds since."""
        kept = self._refunded.get(position)
        if kept is None and self._store is not None:
            value = self._store.get(TABLE, _POSITION.pack(position))
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

    def _unpost(self) -> None:
        self._postings.pop()

    def _columns(self) -> tuple[array[int], ...]:
        return self._positions, self._tenants, self._left, self._at_ms
