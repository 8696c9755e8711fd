"""Payment of evaluations: credits are held at the beginning, and committed or released with the report."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from shieldx.domains.credits import tables as ledger
from shieldx.domains.credits.messages import Abort, Code, Command, Commit, Reserve
from shieldx.domains.shadow import tables
from shieldx.messages import Output

if TYPE_CHECKING:
    from shieldx.domains.credits.messages import Result
    from shieldx.domains.shadow.tables import Plan
    from shieldx.messages import Origin

MARGIN_S = 600
"""How much longer than its deadline an evaluation's credits are held, in case the ledger is unavailable."""
_STEPS = ("reserve", "commit", "abort")
_PREFIX = "shadow/"


def price_of(samples: int, price_per_1000: int) -> int:
    """The price of judging samples, rounded up to whole credits."""
    return -(-samples * price_per_1000 // 1000)


def reservation_id(plan: Plan) -> str:
    """The reservation of an evaluation. Its token prevents clients from using the id or its commands' keys first."""
    return f"{_PREFIX}{plan.eval_id}/{plan.token}"


def reserve(plan: Plan, origin: Origin) -> Output:
    """Reserve the credits, and ask the ledger to send its answer to this agent."""
    evaluate = plan.evaluate
    command = Reserve(
        tenant_id=evaluate.tenant_id,
        idempotency_key=f"{reservation_id(plan)}/reserve",
        actor=evaluate.actor,
        amount=plan.amount,
        reservation_id=reservation_id(plan),
        ttl_s=evaluate.deadline_s + MARGIN_S,
        description=f"evaluation of rule {evaluate.rule_id}",
    )
    return _output(command, origin)


def commit(plan: Plan, origin: Origin) -> Output:
    """Spend them."""
    return _output(
        Commit(
            tenant_id=plan.evaluate.tenant_id,
            idempotency_key=f"{reservation_id(plan)}/commit",
            actor=plan.evaluate.actor,
            reservation_id=reservation_id(plan),
            amount=plan.amount,
        ),
        origin,
    )


def release(plan: Plan, origin: Origin) -> Output:
    """Give them back."""
    return _output(
        Abort(
            tenant_id=plan.evaluate.tenant_id,
            idempotency_key=f"{reservation_id(plan)}/abort",
            actor=plan.evaluate.actor,
            reservation_id=reservation_id(plan),
        ),
        origin,
    )


class Answered(NamedTuple):
    """The evaluation and the payment step that a result of the ledger is about."""

    eval_id: str
    token: str
    step: str


def answered(result: Result) -> Answered | None:
    """Parse what a result is about; None if it answers no command of an evaluation."""
    key = result.idempotency_key or ""
    if not key.startswith(_PREFIX):
        return None
    named, _, step = key.removeprefix(_PREFIX).rpartition("/")
    eval_id, _, token = named.rpartition("/")
    return Answered(eval_id, token, step) if step in _STEPS else None


def is_held(result: Result) -> bool:
    """Whether the credits are held."""
    return result.type == "reserve" and result.code == Code.OK


def held_until_ms(result: Result, plan: Plan) -> int:
    """The stream time at which the ledger releases the credits by itself."""
    return int(datetime.fromisoformat(result.at).timestamp() * 1000) + (plan.evaluate.deadline_s + MARGIN_S) * 1000


def _output(command: Command, origin: Origin) -> Output:
    return Output(ledger.COMMANDS, command.tenant_id, command, origin, tables.PAYMENTS)
