"""The results of the rounds as tables and notes."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from bench.grid import Grid
from bench.rounds import Rounds
from bench.shadow import many, one_rule, rule_set
from bench.shadow.timeline import medians

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.shadow.timeline import Stages

WANTED_S, AIM_S = 5.0, 1.0
ONE_RULE = (
    *(one_rule.WARM, one_rule.COLD, one_rule.PAID),
    *(one_rule.MATCHER, one_rule.READING, one_rule.RE2, one_rule.PLAIN),
)
RULE_SET = (rule_set.TOGETHER, rule_set.ALONE, rule_set.RE2, rule_set.PLAIN)


class Figures:
    """Figures by name, with one value per round."""

    def __init__(self, samples: int, large: int) -> None:
        self._samples = samples
        self._large = large
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._stages: list[Stages] = []
        self._at_once: list[many.AtOnce] = []
        self._crowded: list[many.Crowded] = []
        self._rates: defaultdict[str, list[float]] = defaultdict(list)
        self._runnable: rule_set.Runnable | None = None
        self._rule_set_samples = 0
        self._differing: Counter[str] = Counter()

    def take_one(self, seen: one_rule.Seen) -> None:
        """Add a measurement of one rule through Kafka."""
        self.take_seconds(seen.seconds)
        self._stages.append(seen.stages)

    def take_seconds(self, seconds: Mapping[str, float]) -> None:
        """Add measurements of one rule in this process."""
        for name, each in seconds.items():
            self._seconds[name].append(each)

    def take_at_once(self, seen: many.AtOnce) -> None:
        """Add a measurement of many evaluations at once."""
        self._at_once.append(seen)

    def take_crowded(self, seen: many.Crowded) -> None:
        """Add a measurement of small evaluations during a large one."""
        self._crowded.append(seen)

    def take_runnable(self, runnable: rule_set.Runnable, samples: int) -> None:
        """Set the rules of the rule set that are measured, and the number of samples."""
        self._runnable, self._rule_set_samples = runnable, samples

    def take_rule_set(self, seen: rule_set.Seen) -> None:
        """Add a measurement of all rules over all samples."""
        for name, rate in seen.rates.items():
            self._rates[name].append(rate)
        self._differing = Counter(seen.differing)

    def last(self) -> str:
        """The last round as one line."""
        one = ", ".join(f"{name} {seconds[-1] * 1000:,.0f} ms" for name, seconds in self._seconds.items())
        at_once = self._at_once[-1]
        return f"{one}; {at_once.samples_per_s:,.0f} samples/s at once, Jain's index {at_once.jain:.3f}"

    def grids(self) -> list[Grid]:
        """All tables."""
        grids = [self._one_rule(), self._many_at_once(), self._beside()]
        return [*grids, self._over_rule_set()] if self._rates else grids

    def notes(self) -> list[str]:
        """What a reader of the tables should know about this run."""
        notes = [medians(self._stages).in_words()]
        runnable = self._runnable
        if runnable is not None:
            notes.append(
                f"All rules: {len(runnable.rules)} of the Core Rule Set over {self._rule_set_samples:,} samples. "
                f"Left out of all rows: {len(runnable.not_compiled)} patterns that Python's `re` does not compile "
                f"({_names(runnable.not_compiled)}), and {len(runnable.not_ended)} over which it took longer than "
                f"{rule_set.BOUND_S:g} s ({_names(runnable.not_ended)})."
            )
            notes.append(
                f"Matcher and `re` differ in {self._differing.total():,} of "
                f"{len(runnable.rules) * self._rule_set_samples:,} judgements, of {_names(self._differing)}: `$` of "
                "`re` also matches before a final newline, and the matcher only searches both ends of a long value."
            )
        return notes

    def _one_rule(self) -> Grid:
        plain = Rounds(tuple(self._seconds[one_rule.PLAIN])).median
        rows = []
        for name in ONE_RULE:
            seconds = self._seconds[name]
            middle = Rounds(tuple(seconds)).median
            wanted, met = "", ""
            if name in {one_rule.WARM, one_rule.COLD, one_rule.PAID}:
                wanted = f"< {WANTED_S:g} s, aim {AIM_S:g}"
                met = f"{_yes(middle < WANTED_S)}, aim {_yes(middle < AIM_S)}"
            shown = Rounds(tuple(each * 1000 for each in seconds)).shown()
            rows.append([name, shown, f"{self._samples / middle:,.0f}", f"{middle / plain:.1f}", wanted, met])
        heading = ("what", "ms", "samples/s", "times the plain loop", "wanted", "met")
        return Grid(f"one rule over {self._samples:,} samples", heading, rows)

    def _many_at_once(self) -> Grid:
        seen = self._at_once
        rows = [
            ["p50", _ms([each.p50_s for each in seen])],
            ["p99", _ms([each.p99_s for each in seen])],
            ["all together", f"{Rounds(tuple(each.samples_per_s for each in seen)).shown()} samples/s"],
            ["Jain's index of the tenants' means", Rounds(tuple(each.jain for each in seen)).shown(3)],
        ]
        title = (
            f"{many.TENANTS * many.EACH} evaluations of {many.SMALL_SAMPLES:,} samples at once, {many.TENANTS} tenants"
        )
        return Grid(title, ("what", "figure"), rows)

    def _beside(self) -> Grid:
        rows = []
        for name in (many.SAME, many.NEIGHBOUR, many.ELSEWHERE):
            slowed = [each.slowed[name] for each in self._crowded]
            alone, beside = [each.alone_s for each in slowed], [each.beside_s for each in slowed]
            times = Rounds(tuple(after / before for before, after in zip(alone, beside, strict=True)))
            counted = sum(each.times for each in slowed)
            rows.append([name, _ms(alone), _ms(beside), times.shown(1), f"{counted:,}"])
        large = Rounds(tuple(each.large_s for each in self._crowded)).shown(1)
        title = f"{many.SMALL_SAMPLES:,} samples, p50 alone and during an evaluation of {self._large:,} ({large} s)"
        return Grid(title, ("small ones of", "alone", "during it", "times", "measured during it"), rows)

    def _over_rule_set(self) -> Grid:
        plain = Rounds(tuple(self._rates[rule_set.PLAIN])).median
        rows = []
        for name in RULE_SET:
            rates = Rounds(tuple(self._rates[name]))
            rows.append([name, rates.shown(), f"{rates.median / plain:.2f}"])
        heading = ("what", "judgements/s", "times the plain loop")
        return Grid("all rules over all samples, one process", heading, rows)


def _ms(seconds: Sequence[float]) -> str:
    return f"{Rounds(tuple(each * 1000 for each in seconds)).shown()} ms"


def _names(ids: Sequence[str] | Mapping[str, int]) -> str:
    return ", ".join(sorted(ids)) or "none"


def _yes(met: bool) -> str:
    return "yes" if met else "no"
