"""Converts an outcome to a result for the producer and an entry for the audit log."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from shieldx.domains.credits import tables
from shieldx.domains.credits.messages import ON_RESERVATIONS, TAGS, Balance, Batch, Code, Command, Refund, Result
from shieldx.domains.credits.outcomes import Balances, Outcome
from shieldx.domains.credits.transactions import offset_and_index, position_of, transaction_id_of
from shieldx.messages import AuditAppend, Coordinates, Envelope, Output, Source, rfc3339

if TYPE_CHECKING:
    from shieldx.domains.credits.reservations import Hold, Key

_ACTIONS = {tag: f"credits.{tag}" for tag in TAGS.values()}


def result_of(
    command: Command,
    partition: int,
    outcome: Outcome,
    *,
    digest: bytes | None,
    replayed: bool,
    field: str | None = None,
) -> Result:
    """The result of a command, including the results of a batch's commands. `digest` is the command's."""
    results: list[Result] | UnsetType = UNSET
    if outcome.items and type(command) is Batch:
        results = [
            result_of(
                inner,
                partition,
                Outcome(item.code, item.position, item.at_ms, item.figures, partition=item.partition),
                digest=item.digest,
                replayed=item.replayed,
                field=item.field,
            )
            for inner, item in zip(command.commands, outcome.items, strict=True)
        ]
    amount: int | None = getattr(command, "amount", None)
    return Result(
        idempotency_key=command.idempotency_key,
        tenant_id=command.tenant_id,
        type=TAGS[type(command)],
        code=outcome.code,
        transaction_id=transaction_id_of(
            partition if outcome.partition is None else outcome.partition, outcome.position
        ),
        balance=_balance(outcome.figures),
        at=rfc3339(outcome.at_ms),
        replayed=replayed,
        amount=UNSET if amount is None else amount,
        command_digest=UNSET if digest is None else digest.hex(),
        field=UNSET if field is None else field,
        results=results,
    )


def outputs_of(result: Result, command: Command, source: Source) -> list[Output]:
    """The result and its audit entry. A batch that ran also gets an entry for each of its commands."""
    outputs = [Output(tables.RESULTS, command.tenant_id, result)]
    digest = sha256(source.value).hexdigest()
    if type(command) is Batch and result.results is not UNSET and not result.replayed:
        outputs += [
            _audit(inner_result, inner, source, index, digest)
            for index, (inner, inner_result) in enumerate(zip(command.commands, result.results, strict=True))
        ]
    outputs.append(_audit(result, command, source, None, digest))
    return outputs


def outputs_of_expiry(key: Key, hold: Hold, partition: int, figures: Balances, at_ms: int) -> list[Output]:
    """The result and the audit entry of an expired hold. Both have the coordinates of its reserve command."""
    tenant_id, reservation_id = key
    transaction_id = hold.transaction_id(partition)
    at = rfc3339(at_ms)
    result = Result(
        idempotency_key=None,
        tenant_id=tenant_id,
        type="expire",
        code=Code.OK,
        transaction_id=transaction_id,
        balance=_balance(figures),
        at=at,
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
        source=_coordinates(partition if hold.partition is None else hold.partition, hold.position),
        at=at,
    )
    return [Output(tables.RESULTS, tenant_id, result), Output(tables.AUDIT, tenant_id, append)]


def unreadable(envelope: Envelope, source: Source) -> Output:
    """The result of a command that cannot be executed. It has no entry in the audit log, since nothing happened."""
    result = Result(
        idempotency_key=envelope.texts.get("idempotency_key"),
        tenant_id=envelope.tenant_id,
        type=envelope.type or "unknown",
        code=Code.UNREADABLE,
        transaction_id=transaction_id_of(source.partition, position_of(source.offset, None)),
        at=rfc3339(source.at_ms),
        replayed=False,
        detail=envelope.why,
    )
    return Output(tables.RESULTS, envelope.tenant_id, result)


def _audit(result: Result, command: Command, source: Source, index: int | None, digest: str) -> Output:
    topic, partition, offset = source.topic, source.partition, source.offset
    place = f"{topic}/{partition}/{offset}"
    append = AuditAppend(
        tenant_id=command.tenant_id,
        idempotency_key=place if index is None else f"{place}/{index}",
        actor=command.actor,
        action=_ACTIONS[result.type],
        subject=_subject(command),
        outcome=result.code,
        digest=digest,
        source=Coordinates(topic, partition, offset, UNSET if index is None else index),
        at=rfc3339(source.at_ms),
    )
    return Output(tables.AUDIT, command.tenant_id, append)


def _coordinates(partition: int, position: int) -> Coordinates:
    offset, index = offset_and_index(position)
    return Coordinates(tables.COMMANDS, partition, offset, UNSET if index is None else index)


def _balance(figures: Balances) -> Balance:
    balance, reserved, spent, purchased = figures
    return Balance(balance, reserved, balance - reserved, spent, purchased)


def _subject(command: Command) -> str:
    kind = type(command)
    if kind in ON_RESERVATIONS:
        return f"reservation/{command.reservation_id}"  # type: ignore[attr-defined] # these three types have one
    if kind is Refund:
        return f"transaction/{command.transaction_id}"  # type: ignore[attr-defined] # as it says
    return f"account/{command.tenant_id}"
