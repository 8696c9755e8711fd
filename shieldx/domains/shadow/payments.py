"""Payment of evaluations: credits are held at the beginning, and committed or released before the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from shieldx.domains.credits import tables as ledger
from shieldx.domains.credits.messages import Abort, Commit, Reserve
from shieldx.domains.shadow import tables
from shieldx.messages import Output

if TYPE_CHECKING:
    from shieldx.domains.credits.messages import Command, Result
    from shieldx.domains.shadow.tables import Payment
    from shieldx.messages import Origin

MARGIN_S = 600
"""How much longer than its deadline an evaluation's credits are held, in case the ledger is unavailable."""
PREFIX = "shadow/"
"""Of ids and keys. Without a signature of the agent, the ledger refuses what begins with it."""

Step = Literal["reserve", "commit", "abort"]
_STEPS: dict[str, Step] = {"reserve": "reserve", "commit": "commit", "abort": "abort"}


def price_of(samples: int, price_per_1000: int) -> int:
    """The price of judging samples, rounded up to whole credits."""
    return -(-samples * price_per_1000 // 1000)


def reservation_id(payment: Payment) -> str:
    """The reservation of an evaluation. Its token tells it from earlier ones under the same `eval_id`."""
    return f"{PREFIX}{payment.eval_id}/{payment.token}"


def reserve(payment: Payment, *, rule_id: str, deadline_s: int) -> Reserve:
    """Hold the credits until some time after the deadline."""
    return Reserve(
        tenant_id=payment.tenant_id,
        idempotency_key=_key(payment, "reserve"),
        actor=payment.actor,
        amount=payment.amount,
        reservation_id=reservation_id(payment),
        ttl_s=deadline_s + MARGIN_S,
        description=f"evaluation of rule {rule_id}",
    )


def commit(payment: Payment) -> Commit:
    """Spend them."""
    return Commit(
        tenant_id=payment.tenant_id,
        idempotency_key=_key(payment, "commit"),
        actor=payment.actor,
        reservation_id=reservation_id(payment),
        amount=payment.amount,
    )


def release(payment: Payment) -> Abort:
    """Give them back."""
    return Abort(
        tenant_id=payment.tenant_id,
        idempotency_key=_key(payment, "abort"),
        actor=payment.actor,
        reservation_id=reservation_id(payment),
    )


def to_ledger(command: Command, origin: Origin) -> Output:
    """Send a command, and ask the ledger to send its result to this agent."""
    return Output(ledger.COMMANDS, command.tenant_id, command, origin, tables.PAYMENTS)


class Answered(NamedTuple):
    """The evaluation and the payment step that a result of the ledger is about, if it answers the agent's command."""

    eval_id: str
    step: Step


def answered(result: Result) -> Answered | None:
    """Parse what a result is about; None if it answers no command of an evaluation.

    Whether it answers the command that was sent follows only from its digest.
    """
    key = result.idempotency_key or ""
    if not key.startswith(PREFIX):
        return None
    named, _, step = key.removeprefix(PREFIX).rpartition("/")
    eval_id, _, _ = named.rpartition("/")
    return Answered(eval_id, _STEPS[step]) if step in _STEPS else None


def _key(payment: Payment, step: Step) -> str:
    return f"{reservation_id(payment)}/{step}"
