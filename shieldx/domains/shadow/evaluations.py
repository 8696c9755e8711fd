"""The evaluations of one partition: running ones, and ended ones whose reports are still kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.shadow.draw import draw
from shieldx.domains.shadow.evaluation import Evaluation
from shieldx.domains.shadow.tables import Plan, Reported

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
        self, plans: KeyedTable[Plan | Reported], collected: KeyedTable[Score], sets: SampleSets, timers: Timers
    ) -> None:
        self._plans = plans
        self._collected = collected
        self._sets = sets
        self._timers = timers
        self._running: dict[Key, Evaluation] = {}
        self._reported: dict[Key, Reported] = {}
        self._by_outcomes: dict[str, Key] = {}
        for row in plans.rows():
            if isinstance(row, Plan):
                self._resume(row)
            else:
                self._remember(row)

    def running(self, key: Key) -> Evaluation | None:
        """A running evaluation, or None."""
        return self._running.get(key)

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
        self._plans.put(plan, plan.evaluate.tenant_id, plan.eval_id)

    def collect(self, evaluation: Evaluation, score: Score) -> None:
        """Store the score of a batch."""
        evaluation.take(score)
        self._collected.put(score, score.tenant_id, score.eval_id, str(score.batch))

    def end(self, plan: Plan, report: Report, at_ms: int) -> None:
        """End an evaluation with a report, which is kept for repetitions and for the cache."""
        tenant_id, eval_id = key = plan.evaluate.tenant_id, plan.eval_id
        evaluation = self._running.pop(key, None)
        for number in () if evaluation is None else evaluation.collected:
            self._collected.delete(tenant_id, eval_id, str(number))
        if report.cached_from is not None and plan.evaluate.eval_id is None:
            return  # it can neither be asked for again nor serve the cache
        completed = report.status == "completed"
        reported = Reported(
            digest=plan.digest,
            outcomes=plan.outcomes,
            report=report,
            fresh_ms=at_ms + FRESH_MS if completed and report.cached_from is None else at_ms,
            forget_ms=at_ms + (FRESH_MS if plan.evaluate.eval_id is None else REPEATED_MS),
        )
        self._remember(reported)
        self._plans.put(reported, tenant_id, eval_id)

    def reschedule(self, evaluation: Evaluation) -> None:
        """Schedule the next action for an evaluation."""
        plan = evaluation.plan
        self._timers.schedule((plan.evaluate.tenant_id, plan.eval_id), evaluation.due_ms)

    def take_due(self, at_ms: int) -> Evaluation | None:
        """The next late evaluation. Forgets old reports on the way."""
        while (key := self._timers.pop_due(at_ms)) is not None:
            tenant_id, eval_id = key
            evaluation = self._running.get((tenant_id, eval_id))
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
