"""The ledger's state as table records, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.credits import tables
from shieldx.domains.credits.answers import TAGS
from shieldx.domains.credits.messages import Commit, Consume, Refund
from shieldx.domains.credits.outcomes import Figures
from shieldx.domains.credits.reservations import Hold
from shieldx.domains.credits.transactions import parse_transaction_id, transaction_id_of
from shieldx.messages import Change
from shieldx.state.row_key import parse_row_key, row_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.domains.credits.ledger import Ledger, Posting
    from shieldx.domains.credits.reservations import Key
    from shieldx.state.deduplication import DeduplicationWindow

_encode = msgspec.json.Encoder().encode
_REFUNDABLE = {TAGS[Consume], TAGS[Commit]}
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    tables.ACCOUNTS: msgspec.json.Decoder(tables.AccountRow),
    tables.RESERVATIONS: msgspec.json.Decoder(tables.ReservationRow),
    tables.TRANSACTIONS: msgspec.json.Decoder(tables.TransactionRow),
}


class Changelog:
    """Writes what changed in a ledger and its remembered outcomes, and reads it back into empty ones."""

    def __init__(self, partition: int, ledger: Ledger, outcomes: DeduplicationWindow) -> None:
        self._partition = partition
        self._ledger = ledger
        self._outcomes = outcomes

    def take(self) -> Iterator[Change]:
        """What changed since the last call: the last value of each key, once."""
        ledger, reservations = self._ledger, self._ledger.reservations
        for tenant_id in ledger.accounts.changed:
            yield self._account(tenant_id)
        ledger.accounts.changed.clear()
        for key in reservations.changed:
            yield self._reservation(key)
        reservations.changed.clear()
        for posting in ledger.postings:
            yield self._transaction(posting)
        ledger.postings.clear()
        for block_key, block in self._outcomes.take_blocks():
            yield Change(tables.OUTCOMES, block_key, block)

    def restore(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Take back one record of a table, in the order of its topic."""
        if value is None:
            self._restore_deletion(topic, key)
        elif topic == tables.OUTCOMES:
            self._outcomes.load_block(value)
        else:
            self._restore_row(_DECODERS[topic].decode(value))

    def _account(self, tenant_id: str) -> Change:
        figures = self._ledger.accounts.get(tenant_id)
        row = None if figures is None else _encode(tables.AccountRow(tenant_id, *figures))
        return Change(tables.ACCOUNTS, tenant_id.encode(), row)

    def _reservation(self, key: Key) -> Change:
        tenant_id, reservation_id = key
        hold = self._ledger.reservations.get(key)
        value = None
        if hold is not None:
            row = tables.ReservationRow(
                tenant_id,
                reservation_id,
                transaction_id_of(self._partition, hold.position),
                hold.remaining,
                hold.expires_at_ms,
                hold.state,
                hold.closed_at_ms,
            )
            value = _encode(row)
        return Change(tables.RESERVATIONS, row_key(tenant_id, reservation_id), value)

    def _transaction(self, posting: Posting) -> Change:
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
        return Change(tables.TRANSACTIONS, row_key(command.tenant_id, transaction_id), _encode(row))

    def _restore_deletion(self, topic: str, key: bytes) -> None:
        if topic == tables.ACCOUNTS:
            self._ledger.accounts.load(key.decode(), None)
        elif topic == tables.RESERVATIONS:
            self._ledger.reservations.load(parse_row_key(key), None)

    def _restore_row(self, row: tables.AccountRow | tables.ReservationRow | tables.TransactionRow) -> None:
        ledger = self._ledger
        if isinstance(row, tables.AccountRow):
            figures = Figures(row.balance, row.reserved_funds, row.total_spent, row.total_purchased)
            ledger.accounts.load(row.tenant_id, figures)
        elif isinstance(row, tables.ReservationRow):
            position = self._position(row.transaction_id)
            hold = Hold(row.remaining, row.expires_at_ms, position, row.state, row.closed_at_ms)
            ledger.reservations.load((row.tenant_id, row.reservation_id), hold)
        elif row.type in _REFUNDABLE:
            ledger.transactions.add(row.tenant_id, self._position(row.transaction_id), row.amount, row.at_ms)
        elif row.refunds is not msgspec.UNSET:
            ledger.transactions.refund(row.tenant_id, self._position(row.refunds), row.amount)

    def _position(self, transaction_id: str) -> int:
        position = parse_transaction_id(self._partition, transaction_id)
        if position is None:
            raise ValueError(f"a table of partition {self._partition} holds transaction {transaction_id!r}")
        return position
