"""The fold of shadow evaluation: it plans, collects and reports, and keeps rules and sets of samples.

Planning and collecting are one fold, so that whether an evaluation ends by its last score or by its deadline is decided
once, together with what is done about its credits.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.credits.messages import Code, Result, command_digest
from shieldx.domains.shadow import payments, state, tables
from shieldx.domains.shadow.answers import audit_entry, begun, from_cache, kept, origin_of, refused, report_outputs
from shieldx.domains.shadow.dead_letters import ShadowReason
from shieldx.domains.shadow.evaluations import Evaluations
from shieldx.domains.shadow.judged import JudgedEvaluation
from shieldx.domains.shadow.messages import CommandCode, Evaluate, PutRule, Score, SealSamples
from shieldx.domains.shadow.planning import PlanningRefusal, request_digest, resolve
from shieldx.domains.shadow.report import EvaluationCode
from shieldx.domains.shadow.reporting import findings, timings
from shieldx.domains.shadow.rule import rule_hash
from shieldx.domains.shadow.rule_name import masked_name
from shieldx.domains.shadow.rule_versions import RuleVersions
from shieldx.domains.shadow.sample_set import strata_digest
from shieldx.domains.shadow.sample_sets import SampleSets
from shieldx.domains.shadow.settlements import Settlements
from shieldx.domains.shadow.tables import Payment, Plan, Settling
from shieldx.messages import DEAD_LETTERS, DeadLetter, Output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shieldx.domains.credits.messages import Reserve
    from shieldx.domains.shadow.evaluation import Evaluation
    from shieldx.domains.shadow.messages import CommandResult, SampleBatch
    from shieldx.domains.shadow.planning import Resolved
    from shieldx.domains.shadow.report import Report
    from shieldx.domains.shadow.tables import SampleSetRow
    from shieldx.messages import Source
    from shieldx.state.partition_state import FoldContext

Input = PutRule | SealSamples | Evaluate | Result | Score

RESENT_BATCHES = 64
"""Per transaction: each may contain a rule of 256 KiB, twice."""
TOKEN_CHARACTERS = 32
"""128 bits. Keys of commands include tokens and eval_ids, and have at most 256 characters."""


class ShadowFold:
    """The evaluations of one partition's tenants.

    `shadow_price_per_1000` is in credits; 0 means free. Tokens of evaluations are derived with `shadow_token_key`, a
    secret if there is a price.
    """

    def __init__(self, context: FoldContext, *, shadow_token_key: bytes = b"", shadow_price_per_1000: int = 0) -> None:
        self._partition = context.partition
        self._token_key = shadow_token_key
        self._price_per_1000 = shadow_price_per_1000
        self._rules = RuleVersions(context.table(state.RULES))
        self._sets = SampleSets(context.table(state.SAMPLE_SETS), context.max_record_bytes)
        self._evaluations = Evaluations(
            context.table(state.PLANS), context.table(state.COLLECTED), self._sets, context.timers
        )
        self._settlements = Settlements(self._evaluations)

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
            if isinstance(evaluation, Settling):
                outputs += self._settlements.give_up(evaluation, at_ms)
            elif evaluation.plan.deadline_ms <= at_ms:
                who = "it did not end" if evaluation.plan.awaits is None else "the ledger did not answer"
                detail = f"{who} within its deadline of {evaluation.plan.evaluate.deadline_s} s"
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
        evaluate = msgspec.structs.replace(evaluate, rule_name=masked_name(evaluate.rule_name))
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
        if plan.awaits is not None:
            return [payments.to_ledger(_reserve(plan), source.origin)]
        return _batches(evaluation, evaluation.issue(resolved.sample_set, source.at_ms))

    def _again(self, evaluate: Evaluate, eval_id: str, digest: str, source: Source) -> list[Output] | None:
        """Answer a repeated evaluation: with its report, at once or when it ends."""
        key = evaluate.tenant_id, eval_id
        row, reported = self._evaluations.unreported(key), self._evaluations.reported(key)
        if row is not None and row.digest == digest:
            if source.origin.reply_to is not None or row.reply_to is None:
                self._evaluations.answer_to(row, *kept(source.origin))
            return []
        if reported is not None and reported.digest == digest:
            report = msgspec.structs.replace(reported.report, replayed=True)
            return [Output(tables.REPORTS, evaluate.tenant_id, report)]
        if row is None and reported is None:
            return None
        detail = (
            f"eval_id {eval_id!r} belongs to another evaluation of the last 24 h: use a new one for each evaluation"
        )
        raise PlanningRefusal(EvaluationCode.EVAL_ID_CONFLICT, detail)

    def _planned(self, resolved: Resolved, eval_id: str, digest: str, source: Source) -> Plan:
        evaluate = resolved.evaluate
        context, reply_to = kept(source.origin)
        payment = Payment(
            tenant_id=evaluate.tenant_id,
            eval_id=eval_id,
            token=self._token(source),
            actor=evaluate.actor,
            amount=payments.price_of(len(resolved.drawn.indices), self._price_per_1000),
        )
        plan = Plan(
            evaluate=evaluate,
            payment=payment,
            digest=digest,
            config=resolved.config,
            rule_version=resolved.rule_version,
            compared=None if resolved.compared is None else resolved.compared.config,
            sample_set_version=resolved.sample_set.version,
            strata=strata_digest(resolved.sample_set.strata),
            outcomes=resolved.outcomes,
            awaits=None,
            requested_ms=source.at_ms,
            deadline_ms=source.at_ms + evaluate.deadline_s * 1000,
            context=context,
            reply_to=reply_to,
        )
        if payment.amount == 0:
            return plan
        return msgspec.structs.replace(plan, awaits=command_digest(_reserve(plan)).hex())

    def _payment(self, result: Result, source: Source) -> list[Output]:
        """Take the ledger's answer, if it answers what was sent."""
        answered = payments.answered(result)
        if answered is None:
            letter = DeadLetter.of(
                source, source.value, ShadowReason.NOT_A_PAYMENT, "it answers no command of an evaluation for certain"
            )
            return [Output(DEAD_LETTERS, result.tenant_id, letter)]
        if answered.step != "reserve":
            return self._settlements.answered(result, answered.eval_id, source)
        evaluation = self._evaluations.running((result.tenant_id, answered.eval_id))
        if evaluation is None or evaluation.plan.awaits is None or evaluation.plan.awaits != result.command_digest:
            return []
        plan = evaluation.plan
        if result.code is not Code.OK:
            detail = f"the ledger holds no {plan.payment.amount} credits for it: {result.code.value}"
            report = self._begun(evaluation, "refused", EvaluationCode.PAYMENT_REFUSED, detail, source.at_ms)
            return self._report(plan, report, source.place, source.at_ms)
        plan = msgspec.structs.replace(plan, awaits=None)
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
        """Make the report, and charge for it. It is published when the charge is certain."""
        plan, judged = evaluation.plan, JudgedEvaluation.of(evaluation.drawn, scores)
        compared_with = None
        if plan.compared is not None and plan.evaluate.compare_with is not None:
            compared_with = plan.evaluate.compare_with, rule_hash(plan.compared)
        report = begun(
            plan,
            self._evaluations.row_of(plan),
            len(evaluation.drawn.indices),
            status="completed",
            code=EvaluationCode.OK,
            detail=None,
            timings=timings(plan.requested_ms, source.at_ms, judged.latencies_ns),
            **findings(judged, plan.evaluate.targets, compared_with),
        )
        if plan.payment.amount == 0:
            return self._report(plan, report, source.place, source.at_ms)
        return self._settlements.begin(plan, "commit", report, source.at_ms)

    def _fail(self, evaluation: Evaluation, code: EvaluationCode, detail: str, place: str, at_ms: int) -> list[Output]:
        plan = evaluation.plan
        report = self._begun(evaluation, "failed", code, detail, at_ms)
        if plan.payment.amount == 0:
            return self._report(plan, report, place, at_ms)
        # Even if nothing is held yet, since the ledger may be about to hold it.
        return self._settlements.begin(plan, "abort", report, at_ms)

    def _begun(self, evaluation: Evaluation, status: str, code: EvaluationCode, detail: str, at_ms: int) -> Report:
        """The report of an evaluation that found nothing."""
        plan = evaluation.plan
        return begun(
            plan,
            self._evaluations.row_of(plan),
            len(evaluation.drawn.indices),
            status=status,
            code=code,
            detail=detail,
            timings=timings(plan.requested_ms, at_ms),
        )

    def _report(self, plan: Plan, report: Report, place: str, at_ms: int) -> list[Output]:
        self._evaluations.end(plan, report, at_ms)
        return report_outputs(report, origin_of(plan), plan.evaluate.actor, place, at_ms)

    def _token(self, source: Source) -> str:
        """A token that a request gets whenever it is planned, and that nobody can compute without the key."""
        said = f"{source.place}/{source.at_ms}/".encode() + source.value
        return hmac.digest(self._token_key, said, "sha256").hex()[:TOKEN_CHARACTERS]


def _reserve(plan: Plan) -> Reserve:
    evaluate = plan.evaluate
    return payments.reserve(plan.payment, rule_id=evaluate.rule_id, deadline_s=evaluate.deadline_s)


def _batches(evaluation: Evaluation, batches: Iterable[SampleBatch]) -> list[Output]:
    origin = origin_of(evaluation.plan)
    return [Output(tables.BATCHES, batch.tenant_id, batch, origin) for batch in batches]


def _command_outputs(result: CommandResult, author: str | None, subject: str, source: Source) -> list[Output]:
    """The answer and, if something changed, its entry in the audit log."""
    outputs = [Output(tables.RESULTS, result.tenant_id, result)]
    if result.code is CommandCode.OK:
        version = f"{subject}/{result.version}"
        outputs.append(audit_entry(result.tenant_id, f"shadow.{result.type}", version, author, "ok", source))
    return outputs
