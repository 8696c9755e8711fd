"""The samples of an evaluation with their truth, and what rules said of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.shadow.draw import Drawn
from shieldx.domains.shadow.statistics.confusion import Confusion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.messages import Outcomes, Score


class Said(msgspec.Struct, frozen=True):
    """What one rule said of each sample: whether it fired, and its score if it gives any."""

    fired: tuple[bool, ...]
    scores: tuple[float, ...] | None

    @classmethod
    def of(cls, outcomes: Sequence[Outcomes]) -> Said:
        """Batches joined, in their order."""
        fired = tuple(bit == "1" for part in outcomes for bit in part.fired)
        if any(part.scores is None for part in outcomes):
            return cls(fired, None)
        return cls(fired, tuple(score for part in outcomes for score in part.scores or ()))


class Judged(msgspec.Struct, frozen=True):
    """All of an evaluation, sample by sample."""

    drawn: Drawn
    said: Said
    compared: Said | None
    sources: tuple[str, ...]
    latencies_ns: tuple[int, ...]

    @classmethod
    def of(cls, drawn: Drawn, scores: Sequence[Score]) -> Judged:
        """The scores of all batches, in the order of their numbers."""
        compared = [score.compared for score in scores if score.compared is not None]
        return cls(
            drawn,
            Said.of([score.outcomes for score in scores if score.outcomes is not None]),
            Said.of(compared) if compared else None,
            tuple(source for score in scores for source in score.sources),
            tuple(latency for score in scores for latency in score.latencies_ns),
        )

    def confusion(self, said: Said) -> Confusion:
        """How often a rule was right and wrong, and which way."""
        counted = Counter(zip(self.drawn.positive, said.fired, strict=True))
        return Confusion(
            tp=counted[True, True], fp=counted[False, True], tn=counted[False, False], fn=counted[True, False]
        )

    def places(self, *, positive: bool, fired: bool, category: str | None = None) -> list[int]:
        """Where samples of a truth stand of which the rule said something, in a category or in all."""
        rows = zip(self.drawn.positive, self.said.fired, self.drawn.categories, strict=True)
        return [
            place
            for place, (truth, said, its_category) in enumerate(rows)
            if truth == positive and said == fired and category in (None, its_category)
        ]
