"""The credits fold: commands and time in, results and audit entries out, each command answered once."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.credits import tables
from shieldx.credits.journal import Journal
from shieldx.credits.ledger import ACCOUNT_BYTES, NOTHING, Ledger, Posting
from shieldx.credits.messages import (
    Abort,
    Balance,
    Batch,
    Code,
    Command,
    Commit,
    Refund,
    Reserve,
    Result,
    Single,
)
from shieldx.credits.outcomes import (
    FIELDS,
    Figures,
    Item,
    Outcome,
    Outcomes,
    conflict,
    key_digest,
    pack,
    unpack,
)
from shieldx.credits.reservations import BYTES_EACH as RESERVATION_BYTES
from shieldx.credits.reservations import Hold, State
from shieldx.credits.transactions import BYTES_EACH as TRANSACTION_BYTES
from shieldx.credits.transactions import (
    offset_and_index,
    parse_transaction_id,
    position_of,
    transaction_id_of,
)
from shieldx.messages import AuditAppend, Change, Coordinates, Output, Source, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

_encode = msgspec.json.Encoder().encode
_TAGS = {kind: str(kind.__struct_config__.tag) for kind in FIELDS}
_REFUNDABLE = {"consume", "commit"}
_ROWS: dict[str, msgspec.json.Decoder[Any]] = {
    tables.ACCOUNTS: msgspec.json.Decoder(tables.AccountRow),
    tables.RESERVATIONS: msgspec.json.Decoder(tables.ReservationRow),
    tables.TRANSACTIONS: msgspec.json.Decoder(tables.TransactionRow),
}


class CreditsFold:
    """All that one partition of `credits.commands` has led to.

    `max_result_bytes` bounds a batch's result, since a record that the broker refuses would stop the partition.
    """

    def __init__(self, partition: int, max_result_bytes: int = 1_000_000) -> None:
        self._partition = partition
        self._max_result_bytes = max_result_bytes
        self._journal = Journal()
        self._ledger = Ledger(partition, self._journal)
        self._outcomes = Outcomes(self._journal)

    @property
    def due_ms(self) -> int | None:
        """The earliest log time at which a hold may be due, or None."""
        return self._ledger.reservations.due_ms

    @property
    def size_bytes(self) -> int:
        """About how much memory the state takes."""
        ledger = self._ledger
        return (
            self._outcomes.size_bytes
            + len(ledger) * ACCOUNT_BYTES
            + len(ledger.reservations) * RESERVATION_BYTES
            + len(ledger.transactions) * TRANSACTION_BYTES
        )

    def apply(self, command: Command, source: Source) -> list[Output]:
        """Answer one command. Whatever was due by its log time has been expired before."""
        outputs: list[Output] = []
        digest = key_digest(command.tenant_id, command.idempotency_key)
        packed = self._outcomes.find(digest)
        if packed is not None:
            result = self._answer_again(command, packed, position_of(source.offset, None), source.at_ms)
        elif isinstance(command, Batch):
            result = self._batch(command, source, digest, outputs)
        else:
            result = self._single(command, digest, position_of(source.offset, None), source.at_ms)
        self._emit(result, command, source, None, outputs)
        return outputs

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:
        """Release up to `limit` holds that are due; the flag says that more are."""
        self._outcomes.drop_before(at_ms)
        self._ledger.transactions.prune(at_ms)
        outputs: list[Output] = []
        for _ in range(limit):
            due = self._ledger.reservations.pop_due(at_ms)
            if due is None:
                return outputs, False
            key, hold = due
            if hold.state is not State.OPEN:
                self._ledger.reservations.put(key, None)
                continue
            self._ledger.expire(key, hold, at_ms)
            self._emit_expiry(key, hold, at_ms, outputs)
        due_ms = self._ledger.reservations.due_ms
        return outputs, due_ms is not None and due_ms <= at_ms

    def changes(self) -> Iterator[Change]:
        """What changed since the last call: the last value of each key, once."""
        ledger = self._ledger
        for tenant_id in ledger.changed:
            figures = ledger.account(tenant_id)
            row = None if figures is None else _encode(tables.AccountRow(tenant_id, *figures))
            yield Change(tables.ACCOUNTS, tenant_id.encode(), row)
        ledger.changed.clear()
        for key in ledger.reservations.changed:
            yield self._reservation_change(key)
        ledger.reservations.changed.clear()
        for posting in ledger.postings:
            yield self._transaction_change(posting)
        ledger.postings.clear()
        for block_key, block in self._outcomes.take_blocks():
            yield Change(tables.OUTCOMES, block_key, block)

    def restore(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Take back one record of a table, in the order of its topic."""
        if topic == tables.OUTCOMES:
            if value is not None:
                self._outcomes.load_block(value)
        elif value is None:
            self._restore_deletion(topic, key)
        else:
            self._restore_row(_ROWS[topic].decode(value))

    def _restore_deletion(self, topic: str, key: bytes) -> None:
        if topic == tables.ACCOUNTS:
            self._ledger.load_account(key.decode(), None)
        elif topic == tables.RESERVATIONS:
            self._ledger.reservations.load(tables.parse_row_key(key), None)

    def _restore_row(self, row: tables.AccountRow | tables.ReservationRow | tables.TransactionRow) -> None:
        ledger = self._ledger
        if isinstance(row, tables.AccountRow):
            figures = Figures(row.balance, row.reserved_funds, row.total_spent, row.total_purchased)
            ledger.load_account(row.tenant_id, figures)
        elif isinstance(row, tables.ReservationRow):
            position = self._position(row.transaction_id)
            hold = Hold(row.remaining, row.expires_at_ms, position, row.state, row.closed_at_ms)
            ledger.reservations.load((row.tenant_id, row.reservation_id), hold)
        elif row.type in _REFUNDABLE:
            position = self._position(row.transaction_id)
            ledger.transactions.add(row.tenant_id, position, row.amount, row.at_ms)
        elif row.refunds is not msgspec.UNSET:
            ledger.transactions.refund(row.tenant_id, self._position(row.refunds), row.amount)

    def _position(self, transaction_id: str) -> int:
        position = parse_transaction_id(self._partition, transaction_id)
        if position is None:
            raise ValueError(f"a table of partition {self._partition} holds transaction {transaction_id!r}")
        return position

    def _reservation_change(self, key: tuple[str, str]) -> Change:
        tenant_id, reservation_id = key
        hold = self._ledger.reservations.get(key)
        value = None
        if hold is not None:
            transaction_id = transaction_id_of(self._partition, hold.position)
            value = _encode(
                tables.ReservationRow(
                    tenant_id,
                    reservation_id,
                    transaction_id,
                    hold.remaining,
                    hold.expires_at_ms,
                    hold.state,
                    hold.closed_at_ms,
                )
            )
        return Change(tables.RESERVATIONS, tables.row_key(tenant_id, reservation_id), value)

    def _transaction_change(self, posting: Posting) -> Change:
        command, position, amount, balance, at_ms = posting
        row = tables.TransactionRow(
            command.tenant_id,
            transaction_id_of(self._partition, position),
            _tag(command),
            amount,
            balance,
            at_ms,
            command.idempotency_key,
            command.description,
            command.transaction_id if isinstance(command, Refund) else msgspec.UNSET,
        )
        return Change(tables.TRANSACTIONS, tables.row_key(row.tenant_id, row.transaction_id), _encode(row))

    def _single(self, command: Command, digest: bytes, position: int, at_ms: int) -> Result:
        code = self._ledger.execute(command, position, at_ms)
        figures = self._ledger.account(command.tenant_id) or NOTHING
        outcome = Outcome(code, position, at_ms, figures)
        self._outcomes.remember(digest, pack(command, outcome), at_ms)
        return self._result(command, outcome, replayed=False)

    def _answer_again(self, command: Command, packed: bytes, position: int, at_ms: int) -> Result:
        field = conflict(command, packed)
        if field is None:
            return self._result(command, unpack(command, packed), replayed=True)
        figures = self._ledger.account(command.tenant_id) or NOTHING
        outcome = Outcome(Code.IDEMPOTENCY_CONFLICT, position, at_ms, figures)
        return self._result(command, outcome, replayed=False, field=field)

    def _batch(self, batch: Batch, source: Source, digest: bytes, outputs: list[Output]) -> Result:
        position = position_of(source.offset, None)
        before = self._ledger.account(batch.tenant_id) or NOTHING
        with self._journal.recording():
            items = self._run(batch, source)
            code = Code.OK
            if batch.atomic and items[-1].code is not Code.OK:
                self._journal.roll_back()
                code = Code.BATCH_ABORTED
                items = self._aborted(batch, source, items, before)
            figures = self._ledger.account(batch.tenant_id) or NOTHING
            outcome = Outcome(code, position, source.at_ms, figures, tuple(items))
            result = self._result(batch, outcome, replayed=False)
            if self._too_large(result):
                self._journal.roll_back()
                outcome = Outcome(Code.RESULT_TOO_LARGE, position, source.at_ms, before)
                result = self._result(batch, outcome, replayed=False)
        self._outcomes.remember(digest, pack(batch, outcome), source.at_ms)
        if result.results is not msgspec.UNSET:
            for index, (command, inner) in enumerate(zip(batch.commands, result.results, strict=True)):
                self._emit_audit(inner, command, source, index, outputs)
        return result

    def _run(self, batch: Batch, source: Source) -> list[Item]:
        """Run the commands in order; an atomic batch stops behind its first refusal."""
        items: list[Item] = []
        for index, command in enumerate(batch.commands):
            items.append(self._item(command, position_of(source.offset, index), source.at_ms))
            if batch.atomic and items[-1].code is not Code.OK:
                break
        return items

    def _item(self, command: Single, position: int, at_ms: int) -> Item:
        digest = key_digest(command.tenant_id, command.idempotency_key)
        packed = self._outcomes.find(digest)
        if packed is None:
            code = self._ledger.execute(command, position, at_ms)
            figures = self._ledger.account(command.tenant_id) or NOTHING
            self._outcomes.remember(digest, pack(command, Outcome(code, position, at_ms, figures)), at_ms)
            return Item(code, replayed=False, field=None, position=position, at_ms=at_ms, figures=figures)
        field = conflict(command, packed)
        if field is None:
            first = unpack(command, packed)
            return Item(
                first.code,
                replayed=True,
                field=None,
                position=first.position,
                at_ms=first.at_ms,
                figures=first.figures,
            )
        figures = self._ledger.account(command.tenant_id) or NOTHING
        return Item(
            Code.IDEMPOTENCY_CONFLICT,
            replayed=False,
            field=field,
            position=position,
            at_ms=at_ms,
            figures=figures,
        )

    def _aborted(self, batch: Batch, source: Source, items: list[Item], before: Figures) -> list[Item]:
        """One item a command: the refused one, which is the last, keeps its code; no other one happened."""
        refused = len(items) - 1
        return [
            items[refused]._replace(figures=before)
            if index == refused
            else Item(
                Code.BATCH_ABORTED,
                replayed=False,
                field=None,
                position=position_of(source.offset, index),
                at_ms=source.at_ms,
                figures=before,
            )
            for index in range(len(batch.commands))
        ]

    def _too_large(self, result: Result) -> bool:
        return len(_encode(result)) > self._max_result_bytes

    def _result(self, command: Command, outcome: Outcome, *, replayed: bool, field: str | None = None) -> Result:
        results: list[Result] | msgspec.UnsetType = msgspec.UNSET
        if outcome.items and isinstance(command, Batch):
            results = [
                self._result(
                    inner,
                    Outcome(item.code, item.position, item.at_ms, item.figures),
                    replayed=item.replayed,
                    field=item.field,
                )
                for inner, item in zip(command.commands, outcome.items, strict=True)
            ]
        return Result(
            idempotency_key=command.idempotency_key,
            tenant_id=command.tenant_id,
            type=_tag(command),
            code=outcome.code,
            transaction_id=transaction_id_of(self._partition, outcome.position),
            balance=_balance(outcome.figures),
            at=rfc3339(outcome.at_ms),
            replayed=replayed,
            field=msgspec.UNSET if field is None else field,
            results=results,
        )

    def _emit(self, result: Result, command: Command, source: Source, index: int | None, outputs: list[Output]) -> None:
        outputs.append(Output(tables.RESULTS, command.tenant_id, result))
        self._emit_audit(result, command, source, index, outputs)

    def _emit_audit(
        self, result: Result, command: Command, source: Source, index: int | None, outputs: list[Output]
    ) -> None:
        topic, partition, offset, _, value = source
        place = f"{topic}/{partition}/{offset}"
        append = AuditAppend(
            tenant_id=command.tenant_id,
            idempotency_key=place if index is None else f"{place}/{index}",
            actor=command.actor,
            action=f"credits.{result.type}",
            subject=_subject(command),
            outcome=result.code,
            digest=sha256(value).hexdigest(),
            source=Coordinates(topic, partition, offset, msgspec.UNSET if index is None else index),
            at=rfc3339(source.at_ms),
        )
        outputs.append(Output(tables.AUDIT, command.tenant_id, append))

    def _emit_expiry(self, key: tuple[str, str], hold: Hold, at_ms: int, outputs: list[Output]) -> None:
        tenant_id, reservation_id = key
        transaction_id = transaction_id_of(self._partition, hold.position)
        figures = self._ledger.account(tenant_id) or NOTHING
        result = Result(
            idempotency_key=None,
            tenant_id=tenant_id,
            type="expire",
            code=Code.OK,
            transaction_id=transaction_id,
            balance=_balance(figures),
            at=rfc3339(at_ms),
            replayed=False,
            reservation_id=reservation_id,
        )
        append = AuditAppend(
            tenant_id=tenant_id,
            idempotency_key=f"expire/{transaction_id}",
            actor=None,
            action="credits.expire",
            subject=f"reservation/{reservation_id}",
            outcome=Code.OK,
            digest=None,
            source=_coordinates(self._partition, hold.position),
            at=rfc3339(at_ms),
        )
        outputs.append(Output(tables.RESULTS, tenant_id, result))
        outputs.append(Output(tables.AUDIT, tenant_id, append))


def _coordinates(partition: int, position: int) -> Coordinates:
    offset, index = offset_and_index(position)
    return Coordinates(tables.COMMANDS, partition, offset, msgspec.UNSET if index is None else index)


def _tag(command: Command) -> str:
    return _TAGS[type(command)]


def _balance(figures: Figures) -> Balance:
    balance, reserved, spent, purchased = figures
    return Balance(balance, reserved, balance - reserved, spent, purchased)


def _subject(command: Command) -> str:
    if isinstance(command, (Reserve, Commit, Abort)):
        return f"reservation/{command.reservation_id}"
    if isinstance(command, Refund):
        return f"transaction/{command.transaction_id}"
    return f"account/{command.tenant_id}"
