"""Measures all rules of a set over all samples in one process, with the matcher and with Python's `re`."""

from __future__ import annotations

import re
import signal
from collections import defaultdict
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from bench.shadow.loops import Looped, loop, python_search, re2_search
from bench.shadow.values import values_of
from bench.verdict import WrongResults
from shieldx.domains.shadow.matching.matcher import compile_rule
from shieldx.domains.shadow.matching.parts import ParsedRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bench.shadow.values import Values
    from shieldx.domains.shadow.rule import Signature
    from shieldx.domains.shadow.sample import Sample
    from shieldx.importers.crs_rules import ImportedRule

BOUND_S = 3.0
"""Time limit for Python's `re`, one pattern over all samples. It finishes most patterns within a second; for the others
it tries every possible match, which takes minutes."""
ALONE, TOGETHER = "matcher, rule by rule", "matcher, each request read once"
RE2, PLAIN = "re2 alone", "plain loop of re"
Fired = dict[str, list[bool]]
"""By rule id."""


class Runnable(NamedTuple):
    """The rules that Python's `re` can run and that are measured, and the ids of the others."""

    rules: list[ImportedRule]
    not_compiled: list[str]
    not_ended: list[str]


class Seen(NamedTuple):
    """Judgements per second by method, and in how many of them matcher and `re` differ, by rule."""

    rates: dict[str, float]
    differing: dict[str, int]


class _TooLongError(Exception):
    """A pattern exceeded its time limit."""


def runnable(rules: Iterable[ImportedRule], samples: Sequence[Sample]) -> Runnable:
    """Try each rule with Python's `re` for at most BOUND_S. Call it in the main thread, since it sets an alarm."""
    found = Runnable([], [], [])
    for rule, values in _with_values(rules, samples):
        try:
            search = python_search(rule.config.pattern)
            with _alarm(BOUND_S):
                loop(search, values)
        except re.error:
            found.not_compiled.append(rule.rule_id)
        except _TooLongError:
            found.not_ended.append(rule.rule_id)
        else:
            found.rules.append(rule)
    return found


def measure(rules: Sequence[ImportedRule], samples: Sequence[Sample]) -> Seen:
    """Measure all rules over all samples.

    Raises:
        WrongResults: The matcher's findings depend on the order.
    """
    judgements = len(rules) * len(samples)
    plain: dict[str, Looped] = {}
    seconds = {PLAIN: 0.0, RE2: 0.0}
    for rule, values in _with_values(rules, samples):
        plain[rule.rule_id] = loop(python_search(rule.config.pattern), values)
        seconds[PLAIN] += plain[rule.rule_id].seconds
        seconds[RE2] += loop(re2_search(rule.config.pattern), values).seconds
    rates = {name: judgements / each for name, each in seconds.items()}
    fired = _timed(rates, ALONE, judgements, lambda: _rule_by_rule(rules, samples))
    if _timed(rates, TOGETHER, judgements, lambda: _together(rules, samples)) != fired:
        raise WrongResults(f"the findings of {TOGETHER} and {ALONE} differ")
    return Seen(rates, _differing(plain, fired))


def _timed(rates: dict[str, float], name: str, judgements: int, judge: Callable[[], Fired]) -> Fired:
    began_s = perf_counter()
    fired = judge()
    rates[name] = judgements / (perf_counter() - began_s)
    return fired


def _rule_by_rule(rules: Sequence[ImportedRule], samples: Sequence[Sample]) -> Fired:
    """As evaluators do: each rule parses each request again."""
    fired = {}
    for rule in rules:
        compiled = compile_rule(rule.config)
        fired[rule.rule_id] = [compiled.judge(ParsedRequest(sample.request)).fired for sample in samples]
    return fired


def _together(rules: Sequence[ImportedRule], samples: Sequence[Sample]) -> Fired:
    """Parse each request once, and transform its values for each rule."""
    compiled = [(rule.rule_id, compile_rule(rule.config)) for rule in rules]
    fired: Fired = {rule_id: [] for rule_id, _ in compiled}
    for sample in samples:
        parsed = ParsedRequest(sample.request)
        for rule_id, each in compiled:
            fired[rule_id].append(each.judge(parsed).fired)
    return fired


def _differing(plain: dict[str, Looped], fired: Fired) -> dict[str, int]:
    counts = {
        rule_id: sum(one != other for one, other in zip(looped.fired, fired[rule_id], strict=True))
        for rule_id, looped in plain.items()
    }
    return {rule_id: count for rule_id, count in counts.items() if count}


def _with_values(rules: Iterable[ImportedRule], samples: Sequence[Sample]) -> Iterator[tuple[ImportedRule, Values]]:
    """Each rule with the values that it looks at, which are read once for all rules with the same scope."""
    for group in _by_scope(rules):
        values = values_of(group[0].config, samples)
        for rule in group:
            yield rule, values


def _by_scope(rules: Iterable[ImportedRule]) -> list[list[ImportedRule]]:
    groups: defaultdict[object, list[ImportedRule]] = defaultdict(list)
    for rule in rules:
        groups[_scope(rule.config)].append(rule)
    return list(groups.values())


def _scope(config: Signature) -> object:
    return config.targets, config.excluded, config.transformations


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ring(*_: object) -> NoReturn:
    raise _TooLongError
