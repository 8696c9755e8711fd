"""The samples of an evaluation with their truth, and the outcomes of rules on them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.shadow.draw import Drawn
from shieldx.domains.shadow.statistics.confusion import Confusion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.messages import Outcomes, Score


class RuleOutcomes(msgspec.Struct, frozen=True):
    """One rule's outcome on each sample: whether it fired, and its score, if it has one."""

    fired: tuple[bool, ...]
    scores: tuple[float, ...] | None

    @classmethod
    def of(cls, outcomes: Sequence[Outcomes]) -> RuleOutcomes:
        """Join batches in their order."""
        fired = tuple(bit == "1" for part in outcomes for bit in part.fired)
        if any(part.scores is None for part in outcomes):
            return cls(fired, None)
        return cls(fired, tuple(score for part in outcomes for score in part.scores or ()))


class JudgedEvaluation(msgspec.Struct, frozen=True):
    """A whole evaluation, sample by sample."""

    drawn: Drawn
    said: RuleOutcomes
    compared: RuleOutcomes | None
    sources: tuple[str, ...]
    latencies_ns: tuple[int, ...]

    @classmethod
    def of(cls, drawn: Drawn, scores: Sequence[Score]) -> JudgedEvaluation:
        """Join the scores of all batches, which must be in the order of their numbers."""
        compared = [score.compared for score in scores if score.compared is not None]
        return cls(
            drawn,
            RuleOutcomes.of([score.outcomes for score in scores if score.outcomes is not None]),
            RuleOutcomes.of(compared) if compared else None,
            tuple(source for score in scores for source in score.sources),
            tuple(latency for score in scores for latency in score.latencies_ns),
        )

    def confusion(self, said: RuleOutcomes) -> Confusion:
        """The confusion matrix of a rule."""
        counted = Counter(zip(self.drawn.positive, said.fired, strict=True))
        return Confusion(
            tp=counted[True, True], fp=counted[False, True], tn=counted[False, False], fn=counted[True, False]
        )

    def places(self, *, positive: bool, fired: bool, category: str | None = None) -> list[int]:
        """Indices of the samples with this truth on which the rule did or did not fire, in one category or in all."""
        rows = zip(self.drawn.positive, self.said.fired, self.drawn.categories, strict=True)
        return [
            place
            for place, (truth, said, its_category) in enumerate(rows)
            if truth == positive and said == fired and category in (None, its_category)
        ]
