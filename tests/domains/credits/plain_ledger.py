"""The credits ledger written as its specification reads: plain dictionaries, copied whole to undo a batch.

It shares the messages with the ledger it is compared to, and nothing else. Every rule is worked out from
the whole state each time; nothing is indexed, packed or kept for speed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.credits.messages import (
    Abort,
    Balance,
    Batch,
    Code,
    Command,
    Commit,
    Consume,
    Purchase,
    Refund,
    Reserve,
    Result,
    Single,
)
from shieldx.messages import AuditAppend, Coordinates, Output, Source, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
REFUND_WINDOW_MS = 30 * DAY_MS
TTL_MAX_S = 2_592_000
AMOUNT_LIMIT = 2**63
PRECEDENCE = list(Code)


class Account(NamedTuple):
    balance: int = 0
    reserved_funds: int = 0
    total_spent: int = 0
    total_purchased: int = 0

    @property
    def available(self) -> int:
        return self.balance - self.reserved_funds


class Hold(NamedTuple):
    amount: int
    """What is left of it."""
    expires_at_ms: int
    transaction_id: str
    source: Coordinates
    ended: Code | None = None
    """What a commit or an abort is told once the hold has ended."""
    ended_at_ms: int = 0


class Spending(NamedTuple):
    at_ms: int
    amount: int
    """What is left to refund."""


class Outcome(NamedTuple):
    at_ms: int
    command: Command
    result: Result


@dataclass
class State:
    """Everything the ledger knows. The values are immutable, so copying the dictionaries copies the state."""

    accounts: dict[str, Account] = field(default_factory=dict)
    holds: dict[tuple[str, str], Hold] = field(default_factory=dict)
    spendings: dict[tuple[str, str], Spending] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)

    def copy(self) -> State:
        return State(dict(self.accounts), dict(self.holds), dict(self.spendings), dict(self.outcomes))


class PlainLedger:
    def __init__(self, partition: int, max_result_bytes: int = 1_000_000) -> None:
        self.partition = partition
        self.max_result_bytes = max_result_bytes
        self.state = State()

    # What the engine calls

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:
        due = [
            (hold.expires_at_ms, tenant_id, reservation_id)
            for (tenant_id, reservation_id), hold in self.state.holds.items()
            if hold.ended is None and at_ms >= hold.expires_at_ms
        ]
        outputs: list[Output] = []
        for _, tenant_id, reservation_id in sorted(due)[:limit]:
            hold = self.state.holds[tenant_id, reservation_id]
            self._release(tenant_id, reservation_id, Code.RESERVATION_EXPIRED, at_ms)
            result = Result(
                idempotency_key=None,
                tenant_id=tenant_id,
                type="expire",
                code=Code.OK,
                transaction_id=hold.transaction_id,
                balance=self._balance(tenant_id),
                at=rfc3339(at_ms),
                replayed=False,
                reservation_id=reservation_id,
            )
            append = AuditAppend(
                tenant_id=tenant_id,
                idempotency_key=f"expire/{hold.transaction_id}",
                actor=None,
                action="credits.expire",
                subject=f"reservation/{reservation_id}",
                outcome=Code.OK,
                digest=None,
                source=hold.source,
                at=rfc3339(at_ms),
            )
            outputs.append(Output("credits.results", tenant_id, result))
            outputs.append(Output("audit.decisions", tenant_id, append))
        return outputs, len(due) > limit

    def apply(self, command: Command, source: Source) -> list[Output]:
        self._forget(source.at_ms)
        result = self._remembered(command, source, None)
        appends: list[AuditAppend] = []
        if result is None:
            if isinstance(command, Batch):
                result = self._batch(command, source)
                if result.results is not msgspec.UNSET:
                    appends = [
                        _append(inner, inner_result, source, index)
                        for index, (inner, inner_result) in enumerate(
                            zip(command.commands, result.results, strict=True)
                        )
                    ]
            else:
                assert isinstance(command, Single)
                result = self._execute(command, source, None)
            self._remember(command, result, source)
        appends.append(_append(command, result, source, None))
        return [
            Output("credits.results", command.tenant_id, result),
            *(Output("audit.decisions", command.tenant_id, append) for append in appends),
        ]

    # Time

    def _forget(self, at_ms: int) -> None:
        """Drop what is too old to be known at `at_ms`."""
        state = self.state
        state.holds = {
            key: hold for key, hold in state.holds.items() if hold.ended is None or at_ms < hold.ended_at_ms + DAY_MS
        }
        state.spendings = {
            key: spending for key, spending in state.spendings.items() if at_ms - spending.at_ms <= REFUND_WINDOW_MS
        }
        state.outcomes = {
            key: outcome for key, outcome in state.outcomes.items() if not forgotten_at_ms(outcome.at_ms) <= at_ms
        }

    # Idempotency

    def _remembered(self, command: Command, source: Source, index: int | None) -> Result | None:
        """Replay or conflict, if the key is known."""
        first = self.state.outcomes.get((command.tenant_id, command.idempotency_key))
        if first is None:
            return None
        if first.command == command:
            return msgspec.structs.replace(first.result, replayed=True)
        return self._result(
            command,
            Code.IDEMPOTENCY_CONFLICT,
            source,
            index,
            field=_first_difference(first.command, command),
        )

    def _remember(self, command: Command, result: Result, source: Source) -> None:
        self.state.outcomes.setdefault(
            (command.tenant_id, command.idempotency_key), Outcome(source.at_ms, command, result)
        )

    # Batches

    def _batch(self, batch: Batch, source: Source) -> Result:
        before = self.state.copy()
        results: list[Result] = []
        for index, command in enumerate(batch.commands):
            result = self._remembered(command, source, index)
            if result is None:
                result = self._execute(command, source, index)
                self._remember(command, result, source)
            results.append(result)
            if batch.atomic and result.code != Code.OK:
                self.state = before.copy()
                answer = self._aborted(batch, index, result, source)
                break
        else:
            answer = self._result(batch, Code.OK, source, None, results=results)
        if len(msgspec.json.encode(answer)) > self.max_result_bytes:
            self.state = before
            answer = self._result(batch, Code.RESULT_TOO_LARGE, source, None)
        return answer

    def _aborted(self, batch: Batch, failed_index: int, failed: Result, source: Source) -> Result:
        """Answer an atomic batch that stopped at `failed_index`; the state is as it was before the batch."""
        results = [
            self._result(command, Code.BATCH_ABORTED, source, index) for index, command in enumerate(batch.commands)
        ]
        results[failed_index] = msgspec.structs.replace(failed, balance=self._balance(batch.tenant_id))
        return self._result(batch, Code.BATCH_ABORTED, source, None, results=results)

    # Single commands

    def _execute(self, command: Single, source: Source, index: int | None) -> Result:
        refusals = set(self._refusals(command))
        if refusals:
            return self._result(command, min(refusals, key=PRECEDENCE.index), source, index)
        self._effect(command, source, index)
        account = self._account(command.tenant_id)
        assert account.available >= 0
        assert min(account) >= 0
        return self._result(command, Code.OK, source, index)

    def _refusals(self, command: Single) -> Iterator[Code]:
        """Everything that speaks against the command, in no particular order."""
        yield from self._refusals_of_amount(command)
        if not isinstance(command, Purchase) and command.tenant_id not in self.state.accounts:
            yield Code.TENANT_UNKNOWN
        match command:
            case Reserve():
                yield from self._refusals_of_reserve(command)
            case Commit() | Abort():
                yield from self._refusals_by_hold(command)
            case Refund():
                yield from self._refusals_by_spending(command)

    def _refusals_of_amount(self, command: Single) -> Iterator[Code]:
        if isinstance(command, Abort) or command.amount is None:
            return
        account = self._account(command.tenant_id)
        if command.amount <= 0:
            yield Code.AMOUNT_NOT_POSITIVE
        if command.amount >= AMOUNT_LIMIT:
            yield Code.AMOUNT_TOO_LARGE
        if isinstance(command, Purchase) and account.total_purchased + command.amount >= AMOUNT_LIMIT:
            yield Code.AMOUNT_TOO_LARGE
        if isinstance(command, Consume | Reserve) and command.amount > account.available:
            yield Code.INSUFFICIENT_FUNDS

    def _refusals_of_reserve(self, command: Reserve) -> Iterator[Code]:
        if not 1 <= command.ttl_s <= TTL_MAX_S:
            yield Code.TTL_OUT_OF_RANGE
        if (command.tenant_id, command.reservation_id) in self.state.holds:
            yield Code.RESERVATION_EXISTS

    def _refusals_by_hold(self, command: Commit | Abort) -> Iterator[Code]:
        hold = self.state.holds.get((command.tenant_id, command.reservation_id))
        if hold is None:
            yield Code.RESERVATION_UNKNOWN
        elif hold.ended is not None:
            yield hold.ended
        elif isinstance(command, Commit) and command.amount is not None and command.amount > hold.amount:
            yield Code.EXCEEDS_RESERVATION

    def _refusals_by_spending(self, command: Refund) -> Iterator[Code]:
        spending = self.state.spendings.get((command.tenant_id, command.transaction_id))
        if spending is None:
            yield Code.TRANSACTION_UNKNOWN
        elif spending.amount == 0 or (command.amount is not None and command.amount > spending.amount):
            yield Code.EXCEEDS_TRANSACTION

    def _effect(self, command: Single, source: Source, index: int | None) -> None:
        state, tenant_id = self.state, command.tenant_id
        account = self._account(tenant_id)
        match command:
            case Purchase(amount=amount):
                state.accounts[tenant_id] = account._replace(
                    balance=account.balance + amount, total_purchased=account.total_purchased + amount
                )
            case Consume(amount=amount):
                self._spend(tenant_id, amount, self._transaction_id(source, index), source.at_ms)
            case Reserve(amount=amount):
                state.accounts[tenant_id] = account._replace(reserved_funds=account.reserved_funds + amount)
                state.holds[tenant_id, command.reservation_id] = Hold(
                    amount=amount,
                    expires_at_ms=source.at_ms + command.ttl_s * 1000,
                    transaction_id=self._transaction_id(source, index),
                    source=_coordinates(source, index),
                )
            case Commit(reservation_id=reservation_id):
                hold = state.holds[tenant_id, reservation_id]
                amount = hold.amount if command.amount is None else command.amount
                state.holds[tenant_id, reservation_id] = hold._replace(amount=hold.amount - amount)
                state.accounts[tenant_id] = account._replace(reserved_funds=account.reserved_funds - amount)
                self._spend(tenant_id, amount, self._transaction_id(source, index), source.at_ms)
                if command.final or amount == hold.amount:
                    self._release(tenant_id, reservation_id, Code.RESERVATION_SETTLED, source.at_ms)
            case Abort(reservation_id=reservation_id):
                self._release(tenant_id, reservation_id, Code.RESERVATION_SETTLED, source.at_ms)
            case Refund(transaction_id=transaction_id):
                spending = state.spendings[tenant_id, transaction_id]
                amount = spending.amount if command.amount is None else command.amount
                left = spending.amount - amount
                state.spendings[tenant_id, transaction_id] = spending._replace(amount=left)
                state.accounts[tenant_id] = account._replace(
                    balance=account.balance + amount, total_spent=account.total_spent - amount
                )

    def _spend(self, tenant_id: str, amount: int, transaction_id: str, at_ms: int) -> None:
        account = self._account(tenant_id)
        self.state.accounts[tenant_id] = account._replace(
            balance=account.balance - amount, total_spent=account.total_spent + amount
        )
        self.state.spendings[tenant_id, transaction_id] = Spending(at_ms, amount)

    def _release(self, tenant_id: str, reservation_id: str, ended: Code, at_ms: int) -> None:
        """End a hold; what is left of it becomes available again."""
        account, hold = self._account(tenant_id), self.state.holds[tenant_id, reservation_id]
        self.state.accounts[tenant_id] = account._replace(reserved_funds=account.reserved_funds - hold.amount)
        self.state.holds[tenant_id, reservation_id] = hold._replace(amount=0, ended=ended, ended_at_ms=at_ms)

    # Answers

    def _account(self, tenant_id: str) -> Account:
        return self.state.accounts.get(tenant_id, Account())

    def _balance(self, tenant_id: str) -> Balance:
        account = self._account(tenant_id)
        return Balance(
            balance=account.balance,
            reserved_funds=account.reserved_funds,
            available=account.available,
            total_spent=account.total_spent,
            total_purchased=account.total_purchased,
        )

    def _transaction_id(self, source: Source, index: int | None) -> str:
        record = f"{self.partition}-{source.offset}"
        return record if index is None else f"{record}-{index}"

    def _result(
        self,
        command: Command,
        code: Code,
        source: Source,
        index: int | None,
        *,
        field: str | msgspec.UnsetType = msgspec.UNSET,
        results: list[Result] | msgspec.UnsetType = msgspec.UNSET,
    ) -> Result:
        return Result(
            idempotency_key=command.idempotency_key,
            tenant_id=command.tenant_id,
            type=_type(command),
            code=code,
            transaction_id=self._transaction_id(source, index),
            balance=self._balance(command.tenant_id),
            at=rfc3339(source.at_ms),
            replayed=False,
            amount=_amount(command),
            command_digest=_digest(command),
            field=field,
            results=results,
        )


def forgotten_at_ms(remembered_at_ms: int) -> int:
    """When an outcome is dropped: its whole hour must be 24 h old."""
    bucket = remembered_at_ms // HOUR_MS
    return (bucket + 1) * HOUR_MS + 24 * HOUR_MS


def _type(command: Command) -> str:
    return type(command).__name__.lower()


def _amount(command: Command) -> int | msgspec.UnsetType:
    amount = msgspec.to_builtins(command).get("amount")
    return msgspec.UNSET if amount is None else amount


def _digest(command: Command) -> str:
    return hashlib.blake2b(msgspec.json.encode(command), digest_size=16).hexdigest()


def _first_difference(first: Command, second: Command) -> str:
    if type(first) is not type(second):
        return "type"
    return next(
        name
        for name in first.__struct_fields__
        if name not in {"tenant_id", "idempotency_key"} and getattr(first, name) != getattr(second, name)
    )


def _coordinates(source: Source, index: int | None) -> Coordinates:
    return Coordinates(
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        index=msgspec.UNSET if index is None else index,
    )


def _append(command: Command, result: Result, source: Source, index: int | None) -> AuditAppend:
    match command:
        case Reserve() | Commit() | Abort():
            subject = f"reservation/{command.reservation_id}"
        case Refund():
            subject = f"transaction/{command.transaction_id}"
        case _:
            subject = f"account/{command.tenant_id}"
    record = f"{source.topic}/{source.partition}/{source.offset}"
    return AuditAppend(
        tenant_id=command.tenant_id,
        idempotency_key=record if index is None else f"{record}/{index}",
        actor=command.actor,
        action=f"credits.{_type(command)}",
        subject=subject,
        outcome=result.code,
        digest=hashlib.sha256(source.value).hexdigest(),
        source=_coordinates(source, index),
        at=rfc3339(source.at_ms),
    )
