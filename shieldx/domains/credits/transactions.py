"""The ids of transactions, and the table of all movements of credits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.credits import tables
from shieldx.domains.credits.messages import TAGS, Commit, Consume, Purchase, Refund
from shieldx.domains.credits.refundable_amounts import RefundableAmounts
from shieldx.privacy import mask
from shieldx.state.row_key import row_key
from shieldx.state.table import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.state.store import StateBatch
    from shieldx.state.table import TableContext

SLOTS = 1024
"""Numbers per record: 0 for a single command, 1 + index for one of a batch (at most 1,000)."""
_TRANSACTION_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,16})(?:-([0-9]{1,4}))?")
TABLE = "refundable"
"""Table of the store. Amounts of transactions that another partition gave out are in `refundable/<partition>`."""


class TransactionPlace(NamedTuple):
    """Where a command was executed. A tenant keeps its ids when it moves to another partition."""

    partition: int
    position: int


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


def parse_transaction_id(transaction_id: str) -> TransactionPlace | None:
    """The place that an id names, or None if no ledger can have issued the id."""
    match = _TRANSACTION_ID.fullmatch(transaction_id)
    if match is None:
        return None
    offset, index = int(match[2]), None if match[3] is None else int(match[3])
    if index is not None and index >= SLOTS - 1:
        return None
    place = TransactionPlace(int(match[1]), position_of(offset, index))
    return place if transaction_id_of(*place) == transaction_id else None


def place_in_row(transaction_id: str) -> TransactionPlace:
    """The place that an id in a row of a table names.

    Raises:
        ValueError: it is not an id.
    """
    place = parse_transaction_id(transaction_id)
    if place is None:
        raise ValueError(f"a table holds transaction {transaction_id!r}")
    return place


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


class Transactions:
    """Every movement of credits as rows, and what may still be refunded of those of the last 30 days."""

    due_ms = None

    def __init__(self, context: TableContext) -> None:
        self._partition = context.partition
        self._undo_log = context.undo_log
        self._store = context.store
        self._postings: list[Posting] = []
        self._own = RefundableAmounts(TABLE, context.store, context.undo_log)
        self._amounts = {context.partition: self._own}
        """By the partition that gave out the ids. Others than this one gave out those of tenants that moved here."""
        for name in () if context.store is None else context.store.tables():
            if name.startswith(f"{TABLE}/"):
                self._of(int(name.removeprefix(f"{TABLE}/")))

    @property
    def size_bytes(self) -> int:
        """Estimated memory of the transactions in memory."""
        return sum([amounts.size_bytes for amounts in self._amounts.values()])

    def add(self, tenant_id: str, place: TransactionPlace, amount: int, at_ms: int) -> None:
        """Append a refundable transaction; its position is beyond every earlier one of its partition."""
        self._of(place.partition).add(tenant_id, place.position, amount, at_ms)

    def left(self, tenant_id: str, place: TransactionPlace, at_ms: int) -> int | None:
        """What may still be refunded of the tenant's transaction; None if it is unknown or too old."""
        amounts = self._amounts.get(place.partition)
        return None if amounts is None else amounts.left(tenant_id, place.position, at_ms)

    def refund(self, tenant_id: str, place: TransactionPlace, amount: int) -> None:
        """Reduce the refundable amount. A transaction that the window has dropped is ignored."""
        amounts = self._amounts.get(place.partition)
        if amounts is not None:
            amounts.refund(tenant_id, place.position, amount)

    def post(self, command: Posted, position: int, amount: int, balance: int, at_ms: int) -> None:
        """Add a movement of credits to the changelog. Consumes and commits may be refunded from now on."""
        self._postings.append(Posting(command, position, amount, balance, at_ms))
        if self._undo_log.active:
            self._undo_log.note(self._unpost)
        if type(command) is Consume or type(command) is Commit:
            self._own.add(command.tenant_id, position, amount, at_ms)

    def expire(self, at_ms: int, limit: int) -> bool:  # noqa: ARG002 - arrays are cut at once
        """Drop transactions that are too old for a refund."""
        for amounts in self._amounts.values():
            amounts.expire(at_ms)
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
                mask(command.description) if command.description else "",
                command.transaction_id if type(command) is Refund else msgspec.UNSET,
                getattr(command, "payment", None) or msgspec.UNSET,
                getattr(command, "personal", None) or msgspec.UNSET,
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
            self.add(row.tenant_id, place_in_row(row.transaction_id), row.amount, row.at_ms)
        elif row.refunds is not msgspec.UNSET:
            self.refund(row.tenant_id, place_in_row(row.refunds), row.amount)

    def flush(self, batch: StateBatch) -> None:
        """Write changes to the store."""
        for amounts in self._amounts.values():
            amounts.flush(batch)

    def flushed(self, *, evict: bool) -> None:  # noqa: ARG002 - memory keeps nothing that the store has
        """Note that the store has taken everything."""
        for amounts in self._amounts.values():
            amounts.flushed()

    def _of(self, partition: int) -> RefundableAmounts:
        """The amounts of ids that a partition gave out."""
        if partition not in self._amounts:
            self._amounts[partition] = RefundableAmounts(f"{TABLE}/{partition}", self._store, self._undo_log)
        return self._amounts[partition]

    def _unpost(self) -> None:
        self._postings.pop()
