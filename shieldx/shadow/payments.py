"""How an evaluation is paid: credits are held when it begins, and committed with its report or released without one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from shieldx.credits import tables as ledger
from shieldx.credits.messages import Abort, Code, Command, Commit, Reserve
from shieldx.messages import Output
from shieldx.shadow import tables

if TYPE_CHECKING:
    from shieldx.credits.messages import Result
    from shieldx.messages import Origin
    from shieldx.shadow.tables import Plan

MARGIN_S = 600
"""How much longer than its deadline an evaluation's credits are held: for so long the ledger may be away."""
_PREFIX = "shadow/"


def price_of(samples: int, price_per_1000: int) -> int:
    """What judging samples costs, rounded up to whole credits."""
    return -(-samples * price_per_1000 // 1000)


def reservation_id(eval_id: str) -> str:
    """The reservation of an evaluation."""
    return f"{_PREFIX}{eval_id}"


def reserve(plan: Plan, origin: Origin) -> Output:
    """Hold the credits, and have the ledger say to this agent whether it does."""
    evaluate = plan.evaluate
    command = Reserve(
        tenant_id=evaluate.tenant_id,
        idempotency_key=f"{_PREFIX}{plan.eval_id}/reserve",
        actor=evaluate.actor,
        amount=plan.amount,
        reservation_id=reservation_id(plan.eval_id),
        ttl_s=evaluate.deadline_s + MARGIN_S,
        description=f"evaluation of rule {evaluate.rule_id}",
    )
    return _output(command, origin)


def commit(plan: Plan, origin: Origin) -> Output:
    """Spend them."""
    return _output(
        Commit(
            tenant_id=plan.evaluate.tenant_id,
            idempotency_key=f"{_PREFIX}{plan.eval_id}/commit",
            actor=plan.evaluate.actor,
            reservation_id=reservation_id(plan.eval_id),
            amount=plan.amount,
        ),
        origin,
    )


def release(plan: Plan, origin: Origin) -> Output:
    """Give them back."""
    return _output(
        Abort(
            tenant_id=plan.evaluate.tenant_id,
            idempotency_key=f"{_PREFIX}{plan.eval_id}/abort",
            actor=plan.evaluate.actor,
            reservation_id=reservation_id(plan.eval_id),
        ),
        origin,
    )


def answered(result: Result) -> tuple[str, str] | None:
    """The evaluation that a result of the ledger is about, and which step of its payment; None if it is no such."""
    key = result.idempotency_key or ""
    if not key.startswith(_PREFIX):
        return None
    eval_id, _, step = key.removeprefix(_PREFIX).rpartition("/")
    return eval_id, step


def is_held(result: Result) -> bool:
    """Whether the credits are held."""
    return result.type == "reserve" and result.code == Code.OK


def held_until_ms(result: Result, plan: Plan) -> int:
    """The log time at which the ledger releases them by itself."""
    return int(datetime.fromisoformat(result.at).timestamp() * 1000) + (plan.evaluate.deadline_s + MARGIN_S) * 1000


def _output(command: Command, origin: Origin) -> Output:
    return Output(ledger.COMMANDS, command.tenant_id, command, origin, tables.PAYMENTS)
