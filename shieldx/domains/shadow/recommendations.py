"""Recommendations for a rule, each with the samples that support it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.shadow.report import Recommendation
from shieldx.domains.shadow.statistics.confusion import Confusion
from shieldx.domains.shadow.statistics.curves import curves_of
from shieldx.domains.shadow.statistics.posterior import confidence
from shieldx.domains.shadow.verdict import FULL_DEPLOYMENT_CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shieldx.domains.shadow.judged import JudgedEvaluation
    from shieldx.domains.shadow.messages import Targets
    from shieldx.domains.shadow.report import Category

MAX_SAMPLES_NAMED = 10
MAX_CATEGORIES_NAMED = 5
"""How many of the worst categories to name: people read a report."""
_FACTORS = (2, 5, 10, 20, 50, 100)


def recommendations_on(
    judged: JudgedEvaluation, categories: Sequence[Category], targets: Targets
) -> Iterator[Recommendation]:
    """False positives first, since they do harm; then misses, other thresholds, regressions, and lack of data."""
    yield from _false_positives(judged, categories)
    yield from _missed(judged, categories, targets)
    yield from _other_threshold(judged, targets)
    yield from _regressions(judged)
    yield from _more_samples(judged, targets)


def _false_positives(judged: JudgedEvaluation, categories: Sequence[Category]) -> Iterator[Recommendation]:
    wrong = [it for it in categories if not it.positive and it.fired]
    for it in sorted(wrong, key=lambda it: (-it.fired, it.category))[:MAX_CATEGORIES_NAMED]:
        places = judged.places(positive=False, fired=True, category=it.category)
        yield _naming(
            judged,
            places,
            f"Narrow the rule: it fires on {it.fired} of {it.samples} negatives in {it.category}",
        )


def _missed(judged: JudgedEvaluation, categories: Sequence[Category], targets: Targets) -> Iterator[Recommendation]:
    weak = [it for it in categories if it.positive and it.rate < targets.min_recall]
    for it in sorted(weak, key=lambda it: (it.fired - it.samples, it.category))[:MAX_CATEGORIES_NAMED]:
        places = judged.places(positive=True, fired=False, category=it.category)
        yield _naming(
            judged,
            places,
            f"Widen the rule: it misses {it.samples - it.fired} of {it.samples} positives in {it.category}",
        )


def _other_threshold(judged: JudgedEvaluation, targets: Targets) -> Iterator[Recommendation]:
    """For a scored rule: the highest threshold with the best recall among those that meet the false positive target."""
    scores = judged.said.scores
    if scores is None:
        return
    now, points = judged.confusion(judged.said), curves_of(scores, judged.drawn.positive).roc
    allowed = [it for it in points if it.threshold and it.false_positive_rate <= targets.max_false_positive_rate]
    best = max(allowed, key=lambda it: (it.recall, -it.false_positive_rate), default=None)
    too_many = now.false_positive_rate > targets.max_false_positive_rate
    if best is None or best.threshold is None or not (too_many or best.recall > now.recall):
        return
    places = [place for place, score in enumerate(scores) if (score >= best.threshold) != judged.said.fired[place]]
    yield _naming(
        judged,
        places,
        f"Set the threshold to {best.threshold!r}: recall {best.recall:.4f} instead of {now.recall:.4f}, false "
        f"positive rate {best.false_positive_rate:.4f} instead of {now.false_positive_rate:.4f}",
    )


def _regressions(judged: JudgedEvaluation) -> Iterator[Recommendation]:
    if judged.compared is None:
        return
    rows = zip(judged.drawn.positive, judged.said.fired, judged.compared.fired, strict=True)
    places = [place for place, (truth, said, other) in enumerate(rows) if other == truth != said]
    if places:
        yield _naming(judged, places, f"Look at what the compared version judged right: {len(places)} of the samples")


def _more_samples(judged: JudgedEvaluation, targets: Targets) -> Iterator[Recommendation]:
    """For rates that meet the targets on too few samples to be certain."""
    now = judged.confusion(judged.said)
    for positive, count in ((True, now.positives), (False, now.negatives)):
        if count == 0:
            kind = "positives" if positive else "negatives"
            every = range(len(judged.drawn.indices))
            yield _naming(judged, every, f"Evaluate on samples with {kind} too: there are none, so nothing is known")
            return
    if _confidence(now, targets) >= FULL_DEPLOYMENT_CONFIDENCE or not _keeps_to(now, targets):
        return
    for factor in _FACTORS:
        more = Confusion(tp=now.tp * factor, fp=now.fp * factor, tn=now.tn * factor, fn=now.fn * factor)
        if _confidence(more, targets) >= FULL_DEPLOYMENT_CONFIDENCE:
            scarce = now.positives <= now.negatives
            places = [place for place, truth in enumerate(judged.drawn.positive) if truth == scarce]
            yield _naming(
                judged,
                places,
                f"Evaluate on about {factor} times as many samples: the rates seen meet the targets, but "
                f"{now.positives} positives and {now.negatives} negatives are too few to be sure",
            )
            return


def _keeps_to(confusion: Confusion, targets: Targets) -> bool:
    return confusion.false_positive_rate <= targets.max_false_positive_rate and confusion.recall >= targets.min_recall


def _confidence(confusion: Confusion, targets: Targets) -> float:
    return confidence(confusion, max_false_positive_rate=targets.max_false_positive_rate, min_recall=targets.min_recall)


def _naming(judged: JudgedEvaluation, places: Sequence[int], advice: str) -> Recommendation:
    named = tuple(judged.sources[place] for place in places[:MAX_SAMPLES_NAMED])
    return Recommendation(advice=advice, samples=named, samples_total=len(places))
