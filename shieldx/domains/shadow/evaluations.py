"""The evaluations of one partition: running ones, ones being paid, and ended ones whose reports are still kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.shadow.draw import draw
from shieldx.domains.shadow.evaluation import Evaluation
from shieldx.domains.shadow.tables import Plan, Reported, Settling

if TYPE_CHECKING:
    from shieldx.domains.shadow.draw import Drawn
    from shieldx.domains.shadow.messages import Score
    from shieldx.domains.shadow.report import Report
    from shieldx.domains.shadow.sample_sets import SampleSets
    from shieldx.domains.shadow.tables import SampleSetRow
    from shieldx.state.keyed_table import KeyedTable
    from shieldx.state.timers import Timers

FRESH_MS = 15 * 60_000
"""How long the outcomes of a rule on a version of a set are cached for other evaluations."""
REPEATED_MS = 24 * 3_600_000
"""How long an evaluation that is sent again with its `eval_id` gets its first report."""

Key = tuple[str, str]
"""Tenant and evaluation."""


class Evaluations:
    """Every change also changes rows of a table."""

    def __init__(
        self,
        plans: KeyedTable[Plan | Settling | Reported],
        collected: KeyedTable[Score],
        sets: SampleSets,
        timers: Timers,
    ) -> None:
        self._plans = plans
        self._collected = collected
        self._sets = sets
        self._timers = timers
        self._running: dict[Key, Evaluation] = {}
        self._settling: dict[Key, Settling] = {}
        self._reported: dict[Key, Reported] = {}
        self._by_outcomes: dict[str, Key] = {}
        for row in plans.rows():
            if isinstance(row, Plan):
                self._resume(row)
            elif isinstance(row, Settling):
                self._await_payment(row)
            else:
                self._remember(row)

    def running(self, key: Key) -> Evaluation | None:
        """A running evaluation, or None."""
        return self._running.get(key)

    def settling(self, key: Key) -> Settling | None:
        """An evaluation that has ended and is being paid, or None."""
        return self._settling.get(key)

    def unreported(self, key: Key) -> Plan | Settling | None:
        """The row of an evaluation that has no report yet, or None."""
        evaluation = self._running.get(key)
        return self._settling.get(key) if evaluation is None else evaluation.plan

    def running_on(self, row: SampleSetRow) -> list[Evaluation]:
        """The running evaluations that draw from a version of a set."""
        drawn_from = row.tenant_id, row.sample_set, row.version
        plans = ((it, it.plan) for it in self._running.values())
        return [
            it
            for it, plan in plans
            if (plan.evaluate.tenant_id, plan.evaluate.sample_set, plan.sample_set_version) == drawn_from
        ]

    def reported(self, key: Key) -> Reported | None:
        """An ended evaluation that is still kept, or None."""
        return self._reported.get(key)

    def known(self, outcomes: str, at_ms: int) -> Report | None:
        """A cached report with the same outcomes, or None."""
        key = self._by_outcomes.get(outcomes)
        reported = None if key is None else self._reported.get(key)
        return None if reported is None or reported.fresh_ms <= at_ms else reported.report

    def begin(self, plan: Plan, drawn: Drawn) -> Evaluation:
        """Add an evaluation that begins."""
        self.put(plan)
        return self._run(plan, drawn)

    def put(self, plan: Plan) -> None:
        """Replace the stored plan of an evaluation."""
        self._plans.put(plan, plan.payment.tenant_id, plan.payment.eval_id)

    def answer_to(self, row: Plan | Settling, context: tuple[tuple[str, str], ...], reply_to: str | None) -> None:
        """Let the report go to somebody else."""
        row = msgspec.structs.replace(row, context=context, reply_to=reply_to)
        if isinstance(row, Settling):
            self.settle(row)
        else:
            self._running[row.payment.tenant_id, row.payment.eval_id].plan = row
            self.put(row)

    def collect(self, evaluation: Evaluation, score: Score) -> None:
        """Store the score of a batch."""
        evaluation.take(score)
        self._collected.put(score, score.tenant_id, score.eval_id, str(score.batch))

    def settle(self, settling: Settling) -> None:
        """Stop judging, and keep the report until the ledger has answered."""
        self._stop(settling)
        self._plans.put(settling, settling.payment.tenant_id, settling.payment.eval_id)
        self._await_payment(settling)

    def end(self, ended: Plan | Settling, report: Report, at_ms: int, awaits: str | None = None) -> None:
        """End an evaluation with a report, which is kept for repetitions and for the cache."""
        self._stop(ended)
        if report.cached_from is not None and not ended.named:
            return  # it can neither be asked for again nor serve the cache
        completed = report.status == "completed"
        reported = Reported(
            digest=ended.digest,
            outcomes=ended.outcomes,
            report=report,
            fresh_ms=at_ms + FRESH_MS if completed and report.cached_from is None else at_ms,
            forget_ms=at_ms + (REPEATED_MS if ended.named else FRESH_MS),
            awaits=awaits,
        )
        self._keep(reported)

    def answered_late(self, reported: Reported) -> None:
        """Note that nothing is awaited any more."""
        self._keep(msgspec.structs.replace(reported, awaits=None))

    def reschedule(self, evaluation: Evaluation) -> None:
        """Schedule the next action for an evaluation."""
        plan = evaluation.plan
        self._timers.schedule((plan.evaluate.tenant_id, plan.eval_id), evaluation.due_ms)

    def take_due(self, at_ms: int) -> Evaluation | Settling | None:
        """The next evaluation that is late, or whose payment is. Forgets old reports on the way."""
        while (key := self._timers.pop_due(at_ms)) is not None:
            tenant_id, eval_id = key
            evaluation = self._running.get((tenant_id, eval_id))
            settling = self._settling.get((tenant_id, eval_id))
            if settling is not None:
                return settling
            if evaluation is None:
                self._forget((tenant_id, eval_id))
                self._plans.delete(tenant_id, eval_id)
            elif evaluation.due_ms <= at_ms:
                return evaluation
            else:
                self.reschedule(evaluation)
        return None

    def row_of(self, plan: Plan) -> SampleSetRow:
        """The version of the set that an evaluation draws from, with its current location."""
        evaluate = plan.evaluate
        row = self._sets.find(evaluate.tenant_id, evaluate.sample_set, plan.sample_set_version)
        if row is None:
            raise KeyError(f"{plan.eval_id}: version {plan.sample_set_version} of {evaluate.sample_set} is gone")
        return row

    def _run(self, plan: Plan, drawn: Drawn) -> Evaluation:
        evaluation = self._running[plan.evaluate.tenant_id, plan.eval_id] = Evaluation(plan, drawn)
        self.reschedule(evaluation)
        return evaluation

    def _resume(self, plan: Plan) -> None:
        """Continue an evaluation after a restart: the same samples are drawn, and kept scores are taken."""
        evaluate = plan.evaluate
        drawn = draw(self.row_of(plan).strata, evaluate.sample_size, evaluate.seed, evaluate.ground_truth)
        evaluation = self._run(plan, drawn)
        for score in self._collected.rows(evaluate.tenant_id, plan.eval_id):
            evaluation.take(score)

    def _await_payment(self, settling: Settling) -> None:
        key = settling.payment.tenant_id, settling.payment.eval_id
        self._settling[key] = settling
        self._timers.schedule(key, settling.answer_by_ms)

    def _stop(self, row: Plan | Settling) -> None:
        """Forget what is only needed until the next row."""
        tenant_id, eval_id = key = row.payment.tenant_id, row.payment.eval_id
        self._settling.pop(key, None)
        evaluation = self._running.pop(key, None)
        for number in () if evaluation is None else evaluation.collected:
            self._collected.delete(tenant_id, eval_id, str(number))

    def _keep(self, reported: Reported) -> None:
        self._remember(reported)
        self._plans.put(reported, reported.report.tenant_id, reported.report.eval_id)

    def _remember(self, reported: Reported) -> None:
        key = reported.report.tenant_id, reported.report.eval_id
        self._reported[key] = reported
        if reported.report.status == "completed" and reported.report.cached_from is None:
            other = self._reported.get(self._by_outcomes.get(reported.outcomes, key))
            # Sorted by age, since rows are restored in key order.
            if other is None or (other.fresh_ms, other.report.eval_id) <= (reported.fresh_ms, reported.report.eval_id):
                self._by_outcomes[reported.outcomes] = key
        self._timers.schedule(key, reported.forget_ms)

    def _forget(self, key: Key) -> None:
        reported = self._reported.pop(key, None)
        if reported is not None and self._by_outcomes.get(reported.outcomes) == key:
            del self._by_outcomes[reported.outcomes]
