"""Mistakes of producers: commands that must be refused, and records that must be dead-lettered or forwarded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.demo.steps import UNREADABLE, Step, misplaced, step_of
from shieldx.domains.credits.messages import Abort, Commit, Consume, Refund, Reserve

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.domains.credits.messages import Command

STRANGER = "org-unknown"
"""A tenant that never makes a purchase."""


class Slip(NamedTuple):
    """A mistake's tenant, its unused idempotency key, and its number of tokens."""

    tenant_id: str
    key: str
    tokens: int
    partitions: int

    def step(self, command: Command) -> Step:
        """A step with any command of any tenant."""
        return step_of(command, self.partitions)

    def consume(self, **changes: object) -> Step:
        """A valid consume with some fields changed."""
        fields = {"tenant_id": self.tenant_id, "idempotency_key": self.key, "amount": self.tokens} | changes
        return self.step(Consume(**fields))  # type: ignore[arg-type] # each mistake below changes one field


def _mishandled_hold(slip: Slip) -> list[Step]:
    """Committed twice, overdrawn, released, and released again."""
    tenant_id, key, amount, _ = slip
    amount += 1
    commands: list[Command] = [
        Reserve(tenant_id=tenant_id, idempotency_key=f"{key}-1", reservation_id=key, amount=amount, ttl_s=60),
        Reserve(tenant_id=tenant_id, idempotency_key=f"{key}-2", reservation_id=key, amount=amount, ttl_s=60),
        Commit(tenant_id=tenant_id, idempotency_key=f"{key}-3", reservation_id=key, amount=amount + 1),
        Abort(tenant_id=tenant_id, idempotency_key=f"{key}-4", reservation_id=key),
        Abort(tenant_id=tenant_id, idempotency_key=f"{key}-5", reservation_id=key),
    ]
    return [slip.step(command) for command in commands]


def _unknown_hold(slip: Slip) -> list[Step]:
    return [slip.step(Abort(tenant_id=slip.tenant_id, idempotency_key=slip.key, reservation_id="never-made"))]


def _unknown_transaction(slip: Slip) -> list[Step]:
    return [slip.step(Refund(tenant_id=slip.tenant_id, idempotency_key=slip.key, transaction_id="never-made"))]


def _hold_without_time(slip: Slip) -> list[Step]:
    reserve = Reserve(
        tenant_id=slip.tenant_id, idempotency_key=slip.key, reservation_id=slip.key, amount=slip.tokens + 1, ttl_s=0
    )
    return [slip.step(reserve)]


def _unknown_tenant(slip: Slip) -> list[Step]:
    return [slip.consume(tenant_id=STRANGER, amount=slip.tokens + 1)]


def _nothing(slip: Slip) -> list[Step]:
    return [slip.consume(amount=0)]


def _too_much(slip: Slip) -> list[Step]:
    return [slip.consume(amount=2**63)]


def _cut_off(slip: Slip) -> list[Step]:
    step = slip.consume()
    return [step._replace(kind="unreadable", value=step.value[:-5], dead_letter=UNREADABLE)]


def _of_no_type(slip: Slip) -> list[Step]:
    step = slip.consume()
    value = step.value.replace(b'"consume"', b'"spend"')
    return [step._replace(kind="unreadable", value=value, dead_letter=UNREADABLE)]


def _wrong_key(slip: Slip) -> list[Step]:
    return [slip.consume()._replace(kind="wrong key", key=STRANGER.encode(), dead_letter="key_differs")]


def _wrong_partition(slip: Slip) -> list[Step]:
    return [misplaced(slip.consume(), slip.partitions)]


MISTAKES: tuple[Callable[[Slip], list[Step]], ...] = (
    _mishandled_hold,
    _unknown_hold,
    _unknown_transaction,
    _hold_without_time,
    _unknown_tenant,
    _nothing,
    _too_much,
    _cut_off,
    _of_no_type,
    _wrong_key,
    _wrong_partition,
)
