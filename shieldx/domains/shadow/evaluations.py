"""The evaluations of one partition: those that run, and those whose reports may still be asked for."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from shieldx.domains.shadow import tables
from shieldx.domains.shadow.draw import draw
from shieldx.domains.shadow.evaluation import Evaluation
from shieldx.domains.shadow.tables import Plan, Reported
from shieldx.state.row_key import parse_row_key, row_key

if TYPE_CHECKING:
    from shieldx.domains.shadow.draw import Drawn
    from shieldx.domains.shadow.messages import Score
    from shieldx.domains.shadow.report import Report
    from shieldx.domains.shadow.rows import Rows
    from shieldx.domains.shadow.sample_sets import SampleSets
    from shieldx.domains.shadow.tables import SampleSetRow

FRESH_MS = 15 * 60_000
"""For so long the outcomes of a rule on a version of a set serve other evaluations that ask for the same."""
REPEATED_MS = 24 * 3_600_000
"""For so long an evaluation that is sent again, under the `eval_id` that its sender chose, gets its first report."""

_BYTES_PER_SAMPLE = 52
"""What a sample that was drawn takes in memory: its index, and three references; about."""

Key = tuple[str, str]
"""Tenant and evaluation."""


class Evaluations:
    """Every change is a change of rows as well."""

    def __init__(self, rows: Rows, sets: SampleSets) -> None:
        self._rows = rows
        self._sets = sets
        self._running: dict[Key, Evaluation] = {}
        self._reported: dict[Key, Reported] = {}
        self._by_outcomes: dict[str, Key] = {}
        self._due: list[tuple[int, Key]] = []
        self._plans: dict[Key, Plan] = {}
        self._scores: dict[Key, dict[int, Score]] = {}
        self._samples = 0

    @property
    def size_bytes(self) -> int:
        """About how much memory the samples take that are drawn; rows are counted as such."""
        return self._samples * _BYTES_PER_SAMPLE

    @property
    def due_ms(self) -> int | None:
        """When one is late, or a report may be forgotten."""
        if self._plans:
            return 0
        return self._due[0][0] if self._due else None

    def load(self, row: Plan | Reported) -> None:
        """Take back a row. Plans wait until all tables are read: their samples are drawn from sets."""
        if isinstance(row, Plan):
            key = row.evaluate.tenant_id, row.eval_id
            self._forget(key)  # it may follow its forerunner's report without a tombstone between them
            self._plans[key] = row
        else:
            self._plans.pop((row.report.tenant_id, row.report.eval_id), None)
            self._remember(row)

    def load_score(self, score: Score) -> None:
        """Take back a score of an evaluation that runs."""
        self._scores.setdefault((score.tenant_id, score.eval_id), {})[score.batch] = score

    def unload(self, topic: str, key: bytes) -> None:
        """Take back that a row is gone."""
        tenant_id, name = parse_row_key(key)
        if topic == tables.COLLECTED:
            eval_id, _, batch = name.rpartition("/")
            self._scores.get((tenant_id, eval_id), {}).pop(int(batch), None)
        else:
            self._plans.pop((tenant_id, name), None)
            self._forget((tenant_id, name))

    def wake(self) -> None:
        """All tables are read: what ran goes on."""
        for key, plan in self._plans.items():
            evaluation = self._run(plan, self._drawn(plan))
            for score in self._scores.get(key, {}).values():
                evaluation.take(score)
        self._plans.clear()
        self._scores.clear()

    def running(self, key: Key) -> Evaluation | None:
        """An evaluation that runs."""
        return self._running.get(key)

    def running_on(self, row: SampleSetRow) -> list[Evaluation]:
        """Those that draw from a version of a set."""
        drawn_from = row.tenant_id, row.sample_set, row.version
        plans = ((it, it.plan) for it in self._running.values())
        return [
            it
            for it, plan in plans
            if (plan.evaluate.tenant_id, plan.evaluate.sample_set, plan.sample_set_version) == drawn_from
        ]

    def reported(self, key: Key) -> Reported | None:
        """One that has ended, and is not forgotten."""
        return self._reported.get(key)

    def known(self, outcomes: str, at_ms: int) -> Report | None:
        """A report of late whose outcomes were the same."""
        key = self._by_outcomes.get(outcomes)
        reported = None if key is None else self._reported.get(key)
        return None if reported is None or reported.fresh_ms <= at_ms else reported.report

    def begin(self, plan: Plan, drawn: Drawn) -> Evaluation:
        """One begins."""
        self.put(plan)
        return self._run(plan, drawn)

    def put(self, plan: Plan) -> None:
        """What is kept of a plan changes."""
        self._rows.put(tables.PLANS, row_key(plan.evaluate.tenant_id, plan.eval_id), plan)

    def collect(self, evaluation: Evaluation, score: Score) -> None:
        """A batch has come back."""
        evaluation.take(score)
        self._rows.put(tables.COLLECTED, row_key(score.tenant_id, f"{score.eval_id}/{score.batch}"), score)

    def end(self, plan: Plan, report: Report, at_ms: int) -> None:
        """One has ended by a report, which may be asked for again, or serve others."""
        tenant_id, eval_id = key = plan.evaluate.tenant_id, plan.eval_id
        evaluation = self._running.pop(key, None)
        self._samples -= 0 if evaluation is None else len(evaluation.drawn.indices)
        for number in () if evaluation is None else evaluation.collected:
            self._rows.delete(tables.COLLECTED, row_key(tenant_id, f"{eval_id}/{number}"))
        if report.cached_from is not None and plan.evaluate.eval_id is None:
            return  # nobody can ask for it again, and it serves no other one
        completed = report.status == "completed"
        reported = Reported(
            digest=plan.digest,
            outcomes=plan.outcomes,
            report=report,
            fresh_ms=at_ms + FRESH_MS if completed and report.cached_from is None else at_ms,
            forget_ms=at_ms + (FRESH_MS if plan.evaluate.eval_id is None else REPEATED_MS),
        )
        self._remember(reported)
        self._rows.put(tables.PLANS, row_key(tenant_id, eval_id), reported)

    def reschedule(self, evaluation: Evaluation) -> None:
        """When something must be done about it has changed."""
        plan = evaluation.plan
        heapq.heappush(self._due, (evaluation.due_ms, (plan.evaluate.tenant_id, plan.eval_id)))

    def take_due(self, at_ms: int) -> Evaluation | None:
        """The next evaluation that is late; reports that are old are forgotten on the way."""
        while self._due and self._due[0][0] <= at_ms:
            _, key = heapq.heappop(self._due)
            evaluation, reported = self._running.get(key), self._reported.get(key)
            if evaluation is not None and evaluation.due_ms <= at_ms:
                return evaluation
            if evaluation is not None:
                self.reschedule(evaluation)
            elif reported is not None and reported.forget_ms <= at_ms:
                self._forget(key)
                self._rows.delete(tables.PLANS, row_key(*key))
        return None

    def row_of(self, plan: Plan) -> SampleSetRow:
        """The version of the set that an evaluation draws from, and where it stands now."""
        evaluate = plan.evaluate
        row = self._sets.find(evaluate.tenant_id, evaluate.sample_set, plan.sample_set_version)
        if row is None:
            raise KeyError(f"{plan.eval_id}: version {plan.sample_set_version} of {evaluate.sample_set} is gone")
        return row

    def _run(self, plan: Plan, drawn: Drawn) -> Evaluation:
        evaluation = self._running[plan.evaluate.tenant_id, plan.eval_id] = Evaluation(plan, drawn)
        self._samples += len(drawn.indices)
        self.reschedule(evaluation)
        return evaluation

    def _drawn(self, plan: Plan) -> Drawn:
        evaluate = plan.evaluate
        return draw(self.row_of(plan).strata, evaluate.sample_size, evaluate.seed, evaluate.ground_truth)

    def _remember(self, reported: Reported) -> None:
        key = reported.report.tenant_id, reported.report.eval_id
        self._reported[key] = reported
        if reported.report.status == "completed" and reported.report.cached_from is None:
            other = self._reported.get(self._by_outcomes.get(reported.outcomes, key))
            # By age rather than by turn: rows are restored in the order of their keys.
            if other is None or (other.fresh_ms, other.report.eval_id) <= (reported.fresh_ms, reported.report.eval_id):
                self._by_outcomes[reported.outcomes] = key
        heapq.heappush(self._due, (reported.forget_ms, key))

    def _forget(self, key: Key) -> None:
        reported = self._reported.pop(key, None)
        if reported is not None and self._by_outcomes.get(reported.outcomes) == key:
            del self._by_outcomes[reported.outcomes]
