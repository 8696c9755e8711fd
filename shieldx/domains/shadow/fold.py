"""The fold of shadow evaluation: it plans, collects and reports, and keeps rules and sets of samples.

Planning and collecting are one fold, so that whether an evaluation ends by its last score or by its deadline is decided
once, together with what is done about its credits.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import msgspec

from shieldx.domains.credits.messages import Code, Result
from shieldx.domains.shadow import payments, state, tables
from shieldx.domains.shadow.answers import FREE, begun, from_cache, kept, origin_of, refused, report_outputs
from shieldx.domains.shadow.dead_letters import ShadowReason
from shieldx.domains.shadow.evaluations import Evaluations
from shieldx.domains.shadow.judged import JudgedEvaluation
from shieldx.domains.shadow.messages import CommandCode, Evaluate, PutRule, Score, SealSamples
from shieldx.domains.shadow.planning import PlanningRefusal, request_digest, resolve
from shieldx.domains.shadow.report import Charge, EvaluationCode
from shieldx.domains.shadow.reporting import findings, timings
from shieldx.domains.shadow.rule import rule_hash
from shieldx.domains.shadow.rule_versions import RuleVersions
from shieldx.domains.shadow.sample_set import strata_digest
from shieldx.domains.shadow.sample_sets import SampleSets
from shieldx.domains.shadow.tables import Plan
from shieldx.messages import DEAD_LETTERS, AuditAppend, Coordinates, DeadLetter, Output, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shieldx.domains.shadow.evaluation import Evaluation
    from shieldx.domains.shadow.messages import CommandResult, SampleBatch
    from shieldx.domains.shadow.payments import Answered
    from shieldx.domains.shadow.planning import Resolved
    from shieldx.domains.shadow.report import Report
    from shieldx.domains.shadow.tables import SampleSetRow
    from shieldx.messages import Source
    from shieldx.state.partition_state import FoldContext

Input = PutRule | SealSamples | Evaluate | Result | Score

RESENT_BATCHES = 64
"""Per transaction: each may contain a rule of 256 KiB, twice."""
_SETTLED = {
    "commit": {Code.OK},
    "abort": {Code.OK, Code.RESERVATION_UNKNOWN, Code.RESERVATION_EXPIRED, Code.RESERVATION_SETTLED},
}
"""Codes with which a step is settled. Credits that were never held, or whose hold has ended, are released too."""


class ShadowFold:
    """The evaluations of one partition's tenants. `shadow_price_per_1000` is in credits; 0 means free."""

    def __init__(self, context: FoldContext, *, shadow_price_per_1000: int = 0) -> None:
        self._partition = context.partition
        self._price_per_1000 = shadow_price_per_1000
        self._rules = RuleVersions(context.table(state.RULES))
        self._sets = SampleSets(context.table(state.SAMPLE_SETS), context.max_record_bytes)
        self._evaluations = Evaluations(
            context.table(state.PLANS), context.table(state.COLLECTED), self._sets, context.timers
        )

    def apply(self, message: Input, source: Source) -> list[Output]:
        """Decide on one message."""
        match message:
            case Score():
                return self._score(message, source)
            case Evaluate():
                return self._evaluate(message, source)
            case Result():
                return self._payment(message, source)
            case PutRule():
                return self._put_rule(message, source)
            case SealSamples():
                return self._seal(message, source)

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:
        """Resend late batches, end evaluations past their deadline, and forget old reports."""
        outputs: list[Output] = []
        sent = 0
        for _ in range(limit):
            if sent >= RESENT_BATCHES:
                return outputs, True
            evaluation = self._evaluations.take_due(at_ms)
            if evaluation is None:
                return outputs, False
            if evaluation.plan.deadline_ms <= at_ms:
                detail = f"it did not end within its deadline of {evaluation.plan.evaluate.deadline_s} s"
                outputs += self._fail(evaluation, EvaluationCode.DEADLINE_EXCEEDED, detail, str(at_ms), at_ms)
            else:
                row = self._evaluations.row_of(evaluation.plan)
                late = evaluation.issue_again(row, at_ms)
                sent += len(late)
                outputs += _batches(evaluation, late)
                self._evaluations.reschedule(evaluation)
        return outputs, True

    def _put_rule(self, command: PutRule, source: Source) -> list[Output]:
        result = self._rules.put(command, source.at_ms)
        return _command_outputs(result, command.author, f"rule/{command.rule_id}", source)

    def _seal(self, command: SealSamples, source: Source) -> list[Output]:
        result, row = self._sets.seal(command, source.at_ms)
        outputs = _command_outputs(result, command.author, f"sample-set/{command.sample_set}", source)
        return outputs if row is None else outputs + self._fail_those_on_other_strata(row, source)

    def _fail_those_on_other_strata(self, row: SampleSetRow, source: Source) -> list[Output]:
        """End evaluations whose set was sealed with other strata: after a restart they would draw other samples."""
        outputs: list[Output] = []
        for evaluation in self._evaluations.running_on(row):
            if evaluation.plan.strata != strata_digest(row.strata):
                detail = "its set was sealed with other strata while it ran: send it again under another eval_id"
                place = f"{source.place}/{evaluation.plan.eval_id}"
                outputs += self._fail(evaluation, EvaluationCode.EVALUATION_FAILED, detail, place, source.at_ms)
        return outputs

    def _evaluate(self, evaluate: Evaluate, source: Source) -> list[Output]:
        """Begin an evaluation, or repeat its answer."""
        of_coordinates = f"{source.partition}-{source.offset}"
        eval_id = of_coordinates if evaluate.eval_id is None else evaluate.eval_id
        digest = request_digest(evaluate)
        try:
            again = self._again(evaluate, eval_id, digest, source)
            if again is not None:
                return again
            resolved = resolve(evaluate, self._rules, self._sets)
        except PlanningRefusal as refusal:
            its_id = of_coordinates if refusal.code is EvaluationCode.EVAL_ID_CONFLICT else eval_id
            report = refused(evaluate, its_id, refusal, source.at_ms)
            return report_outputs(report, source.origin, evaluate.actor, source.place, source.at_ms)
        plan = self._planned(resolved, eval_id, digest, source)
        known = self._evaluations.known(plan.outcomes, source.at_ms)
        if known is not None:
            return self._report(plan, from_cache(plan, known, source.at_ms), source.place, source.at_ms)
        evaluation = self._evaluations.begin(plan, resolved.drawn)
        if not plan.paid:
            return [payments.reserve(plan, source.origin)]
        return _batches(evaluation, evaluation.issue(resolved.sample_set, source.at_ms))

    def _again(self, evaluate: Evaluate, eval_id: str, digest: str, source: Source) -> list[Output] | None:
        """Answer a repeated evaluation: with its report, at once or when it ends."""
        key = evaluate.tenant_id, eval_id
        evaluation, reported = self._evaluations.running(key), self._evaluations.reported(key)
        if evaluation is not None and evaluation.plan.digest == digest:
            if source.origin.reply_to is not None or evaluation.plan.reply_to is None:
                context, reply_to = kept(source.origin)
                evaluation.plan = msgspec.structs.replace(evaluation.plan, context=context, reply_to=reply_to)
                self._evaluations.put(evaluation.plan)
            return []
        if reported is not None and reported.digest == digest:
            report = msgspec.structs.replace(reported.report, replayed=True)
            return [Output(tables.REPORTS, evaluate.tenant_id, report)]
        if evaluation is None and reported is None:
            return None
        detail = (
            f"eval_id {eval_id!r} belongs to another evaluation of the last 24 h: use a new one for each evaluation"
        )
        raise PlanningRefusal(EvaluationCode.EVAL_ID_CONFLICT, detail)

    def _planned(self, resolved: Resolved, eval_id: str, digest: str, source: Source) -> Plan:
        evaluate = resolved.evaluate
        amount = payments.price_of(len(resolved.drawn.indices), self._price_per_1000)
        context, reply_to = kept(source.origin)
        return Plan(
            evaluate=evaluate,
            eval_id=eval_id,
            token=_token(source),
            digest=digest,
            config=resolved.config,
            rule_version=resolved.rule_version,
            compared=None if resolved.compared is None else resolved.compared.config,
            sample_set_version=resolved.sample_set.version,
            strata=strata_digest(resolved.sample_set.strata),
            outcomes=resolved.outcomes,
            amount=amount,
            paid=amount == 0,
            hold_until_ms=0,
            requested_ms=source.at_ms,
            deadline_ms=source.at_ms + evaluate.deadline_s * 1000,
            context=context,
            reply_to=reply_to,
        )

    def _payment(self, result: Result, source: Source) -> list[Output]:
        """Take the ledger's answer: the evaluation begins or is refused."""
        answered = None if result.code is Code.UNREADABLE else payments.answered(result)
        if answered is None:
            letter = DeadLetter.of(
                source, source.value, ShadowReason.NOT_A_PAYMENT, "it answers no command of an evaluation for certain"
            )
            return [Output(DEAD_LETTERS, result.tenant_id, letter)]
        if answered.step != "reserve":
            return [] if result.code in _SETTLED[answered.step] else [_not_settled(result, answered, source)]
        evaluation = self._evaluations.running((result.tenant_id, answered.eval_id))
        if evaluation is None or evaluation.plan.token != answered.token or evaluation.plan.paid:
            return []
        plan = evaluation.plan
        if not payments.is_held(result):
            detail = f"the ledger holds no {plan.amount} credits for it: {result.code.value}"
            report = self._begun(evaluation, "refused", EvaluationCode.PAYMENT_REFUSED, detail, FREE, source.at_ms)
            return self._report(plan, report, source.place, source.at_ms)
        plan = msgspec.structs.replace(plan, paid=True, hold_until_ms=payments.held_until_ms(result, plan))
        self._evaluations.put(plan)
        batches = evaluation.begin(plan, self._evaluations.row_of(plan), source.at_ms)
        self._evaluations.reschedule(evaluation)
        return _batches(evaluation, batches)

    def _score(self, score: Score, source: Source) -> list[Output]:
        """Take a batch's score: send more batches or make the report. Each batch counts once."""
        evaluation = self._evaluations.running((score.tenant_id, score.eval_id))
        if evaluation is None or evaluation.plan.token != score.token or not evaluation.awaits(score.batch):
            return []
        if score.error is not None:
            return self._fail(evaluation, EvaluationCode.EVALUATION_FAILED, score.error, source.place, source.at_ms)
        if not evaluation.fits(score):
            letter = DeadLetter.of(
                source, source.value, ShadowReason.SCORE_DOES_NOT_FIT, "it is not one of all its batch's samples"
            )
            return [Output(DEAD_LETTERS, score.tenant_id, letter)]
        self._evaluations.collect(evaluation, score)
        scores = evaluation.scores
        if scores is None:
            row = self._evaluations.row_of(evaluation.plan)
            return _batches(evaluation, evaluation.issue(row, source.at_ms))
        return self._complete(evaluation, scores, source)

    def _complete(self, evaluation: Evaluation, scores: list[Score], source: Source) -> list[Output]:
        """Make the report, then charge for it, so that the report is there when the charge appears."""
        plan, judged = evaluation.plan, JudgedEvaluation.of(evaluation.drawn, scores)
        compared_with = None
        if plan.compared is not None and plan.evaluate.compare_with is not None:
            compared_with = plan.evaluate.compare_with, rule_hash(plan.compared)
        charge = _charge(plan, "committed")
        if charge is not FREE and source.at_ms >= plan.hold_until_ms:
            charge = _charge(plan, "expired")
        report = begun(
            plan,
            self._evaluations.row_of(plan),
            len(evaluation.drawn.indices),
            charge,
            status="completed",
            code=EvaluationCode.OK,
            detail=None,
            timings=timings(plan.requested_ms, source.at_ms, judged.latencies_ns),
            **findings(judged, plan.evaluate.targets, compared_with),
        )
        outputs = self._report(plan, report, source.place, source.at_ms)
        if charge.status == "committed":
            outputs.append(payments.commit(plan, origin_of(plan)))
        return outputs

    def _fail(self, evaluation: Evaluation, code: EvaluationCode, detail: str, place: str, at_ms: int) -> list[Output]:
        plan = evaluation.plan
        charge = _charge(plan, "released") if plan.paid else FREE
        outputs = self._report(plan, self._begun(evaluation, "failed", code, detail, charge, at_ms), place, at_ms)
        if plan.amount:  # even if nothing is held yet, since the ledger may be about to hold it
            outputs.append(payments.release(plan, origin_of(plan)))
        return outputs

    def _begun(
        self, evaluation: Evaluation, status: str, code: EvaluationCode, detail: str, charge: Charge, at_ms: int
    ) -> Report:
        """The report of an evaluation that found nothing."""
        plan = evaluation.plan
        return begun(
            plan,
            self._evaluations.row_of(plan),
            len(evaluation.drawn.indices),
            charge,
            status=status,
            code=code,
            detail=detail,
            timings=timings(plan.requested_ms, at_ms),
        )

    def _report(self, plan: Plan, report: Report, place: str, at_ms: int) -> list[Output]:
        self._evaluations.end(plan, report, at_ms)
        return report_outputs(report, origin_of(plan), plan.evaluate.actor, place, at_ms)


def _token(source: Source) -> str:
    """A token that nobody can know before the broker has appended the request."""
    return sha256(f"{source.place}/{source.at_ms}".encode() + source.value).hexdigest()[:16]


def _charge(plan: Plan, status: Literal["committed", "released", "expired"]) -> Charge:
    if plan.amount == 0:
        return FREE
    return Charge(amount=plan.amount, reservation_id=payments.reservation_id(plan), status=status)


def _batches(evaluation: Evaluation, batches: Iterable[SampleBatch]) -> list[Output]:
    origin = origin_of(evaluation.plan)
    return [Output(tables.BATCHES, batch.tenant_id, batch, origin) for batch in batches]


def _command_outputs(result: CommandResult, author: str | None, subject: str, source: Source) -> list[Output]:
    """The answer and, if something changed, its entry in the audit log."""
    outputs = [Output(tables.RESULTS, result.tenant_id, result)]
    if result.code is CommandCode.OK:
        outputs.append(
            _audit(result.tenant_id, f"shadow.{result.type}", f"{subject}/{result.version}", author, "ok", source)
        )
    return outputs


def _not_settled(result: Result, answered: Answered, source: Source) -> Output:
    """An audit entry: the ledger has not settled as the report says, because the hold had already ended."""
    action = "shadow.charge" if answered.step == "commit" else "shadow.release"
    return _audit(result.tenant_id, action, f"evaluation/{answered.eval_id}", None, result.code.value, source)


def _audit(tenant_id: str, action: str, subject: str, actor: str | None, outcome: str, source: Source) -> Output:
    append = AuditAppend(
        tenant_id=tenant_id,
        idempotency_key=f"shadow/{source.place}",
        actor=actor,
        action=action,
        subject=subject,
        outcome=outcome,
        digest=sha256(source.value).hexdigest(),
        source=Coordinates(source.topic, source.partition, source.offset),
        at=rfc3339(source.at_ms),
    )
    return Output(tables.AUDIT, tenant_id, append)
