"""What one partition of the ledger must have written, by the plain sequential model fed with the same log."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.credits import tables
from shieldx.domains.credits.messages import (
    TAGS,
    Abort,
    Batch,
    Code,
    Commit,
    Consume,
    Purchase,
    Refund,
    Reserve,
    Result,
    Single,
)
from shieldx.domains.credits.tables import AccountRow, ReservationRow, TransactionRow
from shieldx.domains.credits.tables import State as HoldState
from shieldx.engine.tasks.codec import HOP, REPLY_TO, TICK_VALUE
from shieldx.messages import DEAD_LETTERS, Coordinates, DeadLetter, Output, Source, rfc3339
from shieldx.state.row_key import row_key
from tests.domains.credits.plain_ledger import DAY_MS, PlainLedger
from tests.recovery.drafts import EXPECT, Expect

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

EXPIRE_LIMIT = 1000
REPLIES = "replies"
_decode = msgspec.json.Decoder(Purchase | Consume | Reserve | Commit | Abort | Refund | Batch).decode
_HOLD_STATES = {
    None: HoldState.OPEN,
    Code.RESERVATION_SETTLED: HoldState.SETTLED,
    Code.RESERVATION_EXPIRED: HoldState.EXPIRED,
}


class QuickLedger(PlainLedger):
    """The plain ledger, spared two searches of its whole state for each command; and it keeps its postings."""

    def __init__(self, partition: int) -> None:
        super().__init__(partition)
        self.postings: list[TransactionRow] = []
        self._due: list[tuple[int, tuple[str, str]]] = []
        self._expiring: set[tuple[str, str]] = set()
        self._first_ms: int | None = None

    @property
    def has_open_holds(self) -> bool:
        """Whether some hold has yet to expire."""
        return any(hold.ended is None for hold in self.state.holds.values())

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:
        while self._due and self._due[0][0] <= at_ms:
            self._expiring.add(heapq.heappop(self._due)[1])
        if not self._expiring:
            return [], False
        every = self.state.holds
        self.state.holds = {key: every[key] for key in self._expiring if key in every}
        outputs, more = super().expire(at_ms, limit)
        every.update(self.state.holds)
        self.state.holds = every
        if not more:
            self._expiring.clear()
        return outputs, more

    def _forget(self, at_ms: int) -> None:
        self._first_ms = at_ms if self._first_ms is None else self._first_ms
        if at_ms - self._first_ms >= DAY_MS:
            super()._forget(at_ms)

    def _batch(self, batch: Batch, source: Source) -> Any:
        posted = len(self.postings)
        result = super()._batch(batch, source)
        if result.code is not Code.OK:
            del self.postings[posted:]
        return result

    def _effect(self, command: Single, source: Source, index: int | None) -> None:
        before = self._account(command.tenant_id).balance
        super()._effect(command, source, index)
        if isinstance(command, Reserve):
            due_ms = source.at_ms + command.ttl_s * 1000
            heapq.heappush(self._due, (due_ms, (command.tenant_id, command.reservation_id)))
        elif not isinstance(command, Abort):
            after = self._account(command.tenant_id).balance
            row = TransactionRow(
                command.tenant_id,
                self._transaction_id(source, index),
                type(command).__name__.lower(),
                abs(after - before),
                after,
                source.at_ms,
                command.idempotency_key,
                command.description,
                command.transaction_id if isinstance(command, Refund) else msgspec.UNSET,
            )
            self.postings.append(row)


class SequentialModel:
    """Takes the records of one partition in the order of the log; says what there must be in every other topic."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.ledger = QuickLedger(partition)
        self.written: dict[str, list[tuple[bytes, str]]] = defaultdict(list)
        """Values by topic, in order, each with the place of the record that led to it."""
        self.forwarded: list[tuple[bytes, bytes | None]] = []
        """Correlation ids and values of the records that belong to another partition."""
        self.arrived: list[tuple[bytes, bytes | None]] = []
        """The same of the records that came from another partition."""
        self.ticks = 0
        self._at_ms = 0

    def feed(self, record: ConsumerRecord) -> None:
        """Take the next record."""
        self._at_ms = max(self._at_ms, record.timestamp)
        place = f"{record.topic}/{record.partition}/{record.offset}"
        more = True
        while more:
            outputs, more = self.ledger.expire(self._at_ms, EXPIRE_LIMIT)
            self._write(outputs, place)
        headers = dict(record.headers)
        if EXPECT not in headers:
            assert record.value == TICK_VALUE, f"{place} is neither the clients' nor a tick"
            self.ticks += 1
            return
        expect = Expect(headers[EXPECT].decode())
        source = Source(record.topic, record.partition, record.offset, self._at_ms, record.value or b"")
        if not expect.answered:
            self._set_aside(source, record.value, expect.value)
            if expect is not Expect.KEY_DIFFERS:
                self._tell_sender(source, record)
        elif expect is Expect.FORWARD and HOP not in headers:
            self.forwarded.append((headers["correlation-id"], record.value))
        else:
            if HOP in headers:
                self.arrived.append((headers["correlation-id"], record.value))
            self._answer(source, headers.get(REPLY_TO), place)

    def _answer(self, source: Source, reply_to: bytes | None, place: str) -> None:
        outputs = self.ledger.apply(_decode(source.value), source)
        # The plain ledger names a batch's result before the audit entries of its commands; each topic's order counts.
        self._write(outputs, place)
        if reply_to == REPLIES.encode():
            results = [output.value for output in outputs if output.topic == tables.RESULTS]
            self.written[REPLIES] += [(msgspec.json.encode(result), place) for result in results]
        elif reply_to is not None:
            self._set_aside(source, source.value, "reply_to_refused")

    def _write(self, outputs: list[Output], place: str) -> None:
        for output in outputs:
            self.written[output.topic].append((msgspec.json.encode(output.value), place))

    def _tell_sender(self, source: Source, record: ConsumerRecord) -> None:
        """Every record has a correlation id, so its sender is told unless the key is not the body's tenant."""
        try:
            body = json.loads(source.value.decode(errors="replace"))
        except ValueError:
            body = {}
        tenant_id = body.get("tenant_id")
        if tenant_id is not None and tenant_id.encode() != record.key:
            return
        kind = body.get("type")
        result = Result(
            idempotency_key=body.get("idempotency_key"),
            tenant_id=record.key.decode(),
            type=kind if kind in TAGS.values() else "unknown",
            code=Code.UNREADABLE,
            transaction_id=f"{source.partition}-{source.offset}",
            at=rfc3339(source.at_ms),
            replayed=False,
            detail="",
        )
        self._write([Output(tables.RESULTS, result.tenant_id, result)], source.place)

    def _set_aside(self, source: Source, value: bytes | None, reason: str) -> None:
        letter = DeadLetter(
            reason=reason,
            detail="",
            source=Coordinates(source.topic, source.partition, source.offset),
            length=None if value is None else len(value),
            sha256=None if value is None else hashlib.sha256(value).hexdigest(),
            at=rfc3339(source.at_ms),
        )
        place = f"{source.topic}/{source.partition}/{source.offset}"
        self.written[DEAD_LETTERS].append((msgspec.json.encode(letter), place))

    # Tables

    @property
    def accounts(self) -> dict[bytes, AccountRow]:
        """Last rows by key."""
        return {
            tenant_id.encode(): AccountRow(
                tenant_id, account.balance, account.reserved_funds, account.total_spent, account.total_purchased
            )
            for tenant_id, account in self.ledger.state.accounts.items()
        }

    @property
    def reservations(self) -> dict[bytes, ReservationRow]:
        """Last rows by key."""
        return {
            row_key(tenant_id, reservation_id): ReservationRow(
                tenant_id,
                reservation_id,
                hold.transaction_id,
                hold.amount,
                hold.expires_at_ms,
                _HOLD_STATES[hold.ended],
                hold.ended_at_ms,
            )
            for (tenant_id, reservation_id), hold in self.ledger.state.holds.items()
        }
