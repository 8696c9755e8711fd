"""The end of a payment: a report is published once the ledger has answered the last step of its evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from shieldx.domains.credits.messages import Code, command_digest
from shieldx.domains.shadow import payments
from shieldx.domains.shadow.answers import FREE, audit_entry, origin_of, report_outputs, unpaid
from shieldx.domains.shadow.report import Charge
from shieldx.domains.shadow.tables import Settling
from shieldx.messages import rfc3339

if TYPE_CHECKING:
    from shieldx.domains.credits.messages import Result
    from shieldx.domains.shadow.evaluations import Evaluations
    from shieldx.domains.shadow.report import Report
    from shieldx.domains.shadow.tables import Plan
    from shieldx.messages import Output, Source

ANSWER_WITHIN_MS = {"commit": 24 * 3_600_000, "abort": 10_000}
"""How long a report waits for the ledger: long for a commit, since without it the report must not be published; briefly
for a release, since a hold ends by itself."""
_ACTIONS = {"commit": "shadow.charge", "abort": "shadow.release"}

Status = Literal["none", "committed", "released", "expired", "unsettled"]
_AFTER_ABORT: dict[Code, Status] = {
    Code.OK: "released",
    Code.RESERVATION_EXPIRED: "expired",
    Code.RESERVATION_UNKNOWN: "none",
    Code.TENANT_UNKNOWN: "none",
}
"""What was charged, by the answer to an abort. If nothing was ever held, the reserve command was refused."""


class Settlements:
    """Ended evaluations with a price. An answer counts only if its digest is that of the command that was sent."""

    def __init__(self, evaluations: Evaluations) -> None:
        self._evaluations = evaluations

    def begin(
        self, ended: Plan | Settling, step: Literal["commit", "abort"], report: Report, at_ms: int
    ) -> list[Output]:
        """Spend or release the credits. The report waits for the answer."""
        payment = ended.payment
        command = payments.commit(payment) if step == "commit" else payments.release(payment)
        settling = Settling(
            payment=payment,
            step=step,
            awaits=command_digest(command).hex(),
            answer_by_ms=at_ms + ANSWER_WITHIN_MS[step],
            report=report,
            named=ended.named,
            digest=ended.digest,
            outcomes=ended.outcomes,
            requested_ms=ended.requested_ms,
            context=ended.context,
            reply_to=ended.reply_to,
        )
        self._evaluations.settle(settling)
        return [payments.to_ledger(command, origin_of(settling))]

    def answered(self, result: Result, eval_id: str, source: Source) -> list[Output]:
        """Take the ledger's answer to a commit or an abort."""
        key = result.tenant_id, eval_id
        settling = self._evaluations.settling(key)
        if settling is None or settling.awaits != result.command_digest:
            return self._answered_late(result, eval_id, source)
        place, at_ms = source.place, source.at_ms
        if settling.step == "commit":
            if result.code is Code.OK:
                return self._publish(settling, "committed", place, at_ms)
            detail = f"the ledger did not take the {settling.payment.amount} credits for it: {result.code.value}"
            outputs = self.begin(settling, "abort", unpaid(settling.report, detail), at_ms)
            return [_entry(settling, result, source), *outputs]
        status = _AFTER_ABORT.get(result.code, "unsettled")
        outputs = self._publish(settling, status, place, at_ms)
        return [*outputs, _entry(settling, result, source)] if status == "unsettled" else outputs

    def give_up(self, settling: Settling, at_ms: int) -> list[Output]:
        """Publish the report of an evaluation whose payment the ledger has not answered in time."""
        report = settling.report
        if settling.step == "commit":
            amount = settling.payment.amount
            report = unpaid(report, f"the ledger has not answered whether it took the {amount} credits for it")
        settling = msgspec.structs.replace(settling, report=report)
        return self._publish(settling, "unsettled", str(at_ms), at_ms, awaits=settling.awaits)

    def _answered_late(self, result: Result, eval_id: str, source: Source) -> list[Output]:
        """An answer for which a report did not wait is entered in the audit log. Any other answers nothing of ours."""
        reported = self._evaluations.reported((result.tenant_id, eval_id))
        if reported is None or reported.awaits is None or reported.awaits != result.command_digest:
            return []
        self._evaluations.answered_late(reported)
        subject = f"evaluation/{eval_id}"
        return [audit_entry(result.tenant_id, _ACTIONS[result.type], subject, None, result.code.value, source)]

    def _publish(
        self, settling: Settling, status: Status, place: str, at_ms: int, *, awaits: str | None = None
    ) -> list[Output]:
        payment, report = settling.payment, settling.report
        timings = msgspec.structs.replace(
            report.timings, reported_at=rfc3339(at_ms), execution_time_ms=at_ms - settling.requested_ms
        )
        charge = FREE
        if status != "none":
            charge = Charge(amount=payment.amount, reservation_id=payments.reservation_id(payment), status=status)
        report = msgspec.structs.replace(report, charge=charge, timings=timings)
        self._evaluations.end(settling, report, at_ms, awaits)
        return report_outputs(report, origin_of(settling), payment.actor, place, at_ms)


def _entry(settling: Settling, result: Result, source: Source) -> Output:
    """An entry in the audit log: the ledger has refused a step."""
    payment = settling.payment
    action, subject = _ACTIONS[settling.step], f"evaluation/{payment.eval_id}"
    return audit_entry(payment.tenant_id, action, subject, payment.actor, result.code.value, source)
