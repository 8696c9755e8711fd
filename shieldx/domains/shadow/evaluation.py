"""A running evaluation: which of its batches are in progress, and which are done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.shadow.messages import BATCH_SAMPLES, SampleBatch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shieldx.domains.shadow.draw import Drawn
    from shieldx.domains.shadow.messages import Score
    from shieldx.domains.shadow.tables import Plan, SampleSetRow

WINDOW = 32
"""Maximum batches of one evaluation in progress, so that a large evaluation does not delay small ones."""
RESEND_AFTER_MS = 30_000
"""Batches in progress are resent after this time without any score; it doubles after each attempt. Kafka reassigns the
batches of a dead evaluator sooner, and resending them by then would only lengthen the queue."""
MAX_RESEND_AFTER_MS = 300_000


class Evaluation:
    """Batches are numbered from 0, in the order of the samples that were drawn."""

    def __init__(self, plan: Plan, drawn: Drawn) -> None:
        self.plan = plan
        self.drawn = drawn
        self._scores: dict[int, Score] = {}
        self._unissued = 0
        self._out: set[int] = set()
        self._resend_after_ms = RESEND_AFTER_MS
        self._resend_ms: int | None = 0 if plan.awaits is None else None

    @property
    def batches(self) -> int:
        """The number of batches."""
        return -(-len(self.drawn.indices) // BATCH_SAMPLES)

    @property
    def due_ms(self) -> int:
        """The time of the next action."""
        return self.plan.deadline_ms if self._resend_ms is None else min(self.plan.deadline_ms, self._resend_ms)

    @property
    def scores(self) -> list[Score] | None:
        """The scores of all batches in order, or None while some are missing."""
        if len(self._scores) < self.batches:
            return None
        return [self._scores[number] for number in range(self.batches)]

    @property
    def collected(self) -> Iterable[int]:
        """The numbers of the batches that have come back."""
        return self._scores

    def begin(self, plan: Plan, row: SampleSetRow, at_ms: int) -> list[SampleBatch]:
        """Begin, after payment or without: returns the first batches."""
        self.plan = plan
        return self.issue(row, at_ms)

    def issue(self, row: SampleSetRow, at_ms: int) -> list[SampleBatch]:
        """The batches to send now."""
        issued = []
        while len(self._out) < WINDOW and self._unissued < self.batches:
            number = self._unissued
            self._unissued += 1
            if number not in self._scores:
                self._out.add(number)
                issued.append(self._batch(number, row))
        self._resend_ms = at_ms + self._resend_after_ms
        return issued

    def issue_again(self, row: SampleSetRow, at_ms: int) -> list[SampleBatch]:
        """The late batches to resend; after a restart, the first batches to send."""
        if not self._out:
            return self.issue(row, at_ms)
        self._resend_after_ms = min(2 * self._resend_after_ms, MAX_RESEND_AFTER_MS)
        self._resend_ms = at_ms + self._resend_after_ms
        return [self._batch(number, row) for number in sorted(self._out)]

    def awaits(self, number: int) -> bool:
        """Whether a score of that batch is still missing."""
        return 0 <= number < self.batches and number not in self._scores

    def fits(self, score: Score) -> bool:
        """Whether a score covers each sample of its batch, and the rule for comparison."""
        size = len(self._indices(score.batch))
        outcomes = [score.outcomes, *([] if self.plan.compared is None else [score.compared])]
        return (
            all(it is not None and len(it.fired) == size for it in outcomes)
            and all(it is None or it.scores is None or len(it.scores) == size for it in outcomes)
            and len(score.sources) == size
            and (score.compared is None) == (self.plan.compared is None)
        )

    def take(self, score: Score) -> None:
        """Take the score of a batch."""
        self._scores[score.batch] = score
        self._out.discard(score.batch)

    def _indices(self, number: int) -> tuple[int, ...]:
        return self.drawn.indices[number * BATCH_SAMPLES : (number + 1) * BATCH_SAMPLES]

    def _batch(self, number: int, row: SampleSetRow) -> SampleBatch:
        plan = self.plan
        return SampleBatch(
            tenant_id=plan.evaluate.tenant_id,
            eval_id=plan.eval_id,
            token=plan.token,
            batch=number,
            rule=plan.config,
            compared=plan.compared,
            sample_set=row.sample_set,
            sample_set_version=row.version,
            strata=plan.strata,
            first_offset=row.first_offset,
            last_offset=row.last_offset,
            samples=self._indices(number),
            partition=row.partition,
        )
