"""Compiles a rule to judge requests, or rejects it with the location and the reason."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from shieldx.domains.shadow.matching.patterns import UnusablePattern, compile_keywords, compile_literal, compile_regex
from shieldx.domains.shadow.matching.scopes import ScopeSources, UnusableScope
from shieldx.domains.shadow.rule import MAX_RULE_BYTES, Composite, Keywords, Scored, Signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shieldx.domains.shadow.matching.parts import ParsedRequest
    from shieldx.domains.shadow.matching.scopes import Reader
    from shieldx.domains.shadow.rule import RuleConfig

MAX_DEPTH: Final = 16
"""Maximum nesting of composites; rules written by people have two or three levels."""
MAX_PATTERNS: Final = 64
"""Maximum number of patterns of a rule, since each takes time on every request."""


class UnusableRule(Exception):
    """Change the rule at `where`, at the character `position` if it is given."""

    def __init__(self, where: str, position: int | None, reason: str) -> None:
        place = where or "the rule"
        at = "" if position is None else f", character {position}"
        super().__init__(f"{place}{at}: {reason}")
        self.where = where
        self.position = position
        self.reason = reason


class Judgement(NamedTuple):
    """Whether the rule fires, and its score: the sum of weights that fired, or 1.0 or 0.0 for other rules."""

    fired: bool
    score: float


class CompiledRule:
    """A rule that judges requests. The same request always gets the same judgement."""

    def __init__(self, root: _Condition, sources: ScopeSources) -> None:
        self._root = root
        self._sources = sources
        self.is_scored = isinstance(root, _Scored)
        self.reach_bytes = root.reach_bytes
        """How many bytes of a request the rule looks at; that of its most limited pattern."""

    def judge(self, parsed: ParsedRequest) -> Judgement:
        """Whether the rule fires on the request."""
        return self._root.judge(self._sources.reader(parsed))


def compile_rule(config: RuleConfig) -> CompiledRule:
    """Compile a rule. Raises `UnusableRule`."""
    _check_depth(config, "", MAX_DEPTH)
    encoded_bytes = _encoded_bytes(config)
    if encoded_bytes > MAX_RULE_BYTES:
        raise UnusableRule(
            "", None, f"{encoded_bytes:,} bytes of JSON exceed the maximum of {MAX_RULE_BYTES:,}; split the rule"
        )
    patterns = _patterns(config)
    if patterns > MAX_PATTERNS:
        raise UnusableRule("", None, f"{patterns:,} patterns exceed the maximum of {MAX_PATTERNS}; split the rule")
    sources = ScopeSources()
    return CompiledRule(_compiled(config, "", sources), sources)


def _check_depth(config: RuleConfig, where: str, left: int) -> None:
    if not isinstance(config, Composite):
        return
    if left == 0:
        raise UnusableRule(where, None, f"nested in more than {MAX_DEPTH} composites; flatten them")
    for number, rule in enumerate(config.rules):
        _check_depth(rule, _below(where, f"rules[{number}]"), left - 1)


def _encoded_bytes(config: RuleConfig) -> int:
    try:
        return len(msgspec.json.encode(config))
    except UnicodeEncodeError:
        raise UnusableRule("", None, "an unpaired surrogate is not a character; write its bytes as \\xHH") from None


def _below(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


class _Pattern(Protocol):
    @property
    def reach_bytes(self) -> int: ...

    def found_in(self, values: Iterable[bytes]) -> bool: ...


class _Condition(Protocol):
    @property
    def reach_bytes(self) -> int: ...

    def fires(self, reader: Reader) -> bool: ...

    def judge(self, reader: Reader) -> Judgement: ...


class _YesOrNo:
    """A condition without a score of its own."""

    reach_bytes: int

    def fires(self, reader: Reader) -> bool:
        raise NotImplementedError

    def judge(self, reader: Reader) -> Judgement:
        fired = self.fires(reader)
        return Judgement(fired, 1.0 if fired else 0.0)


class _Search(_YesOrNo):
    """A pattern and the sources that it searches."""

    def __init__(self, pattern: _Pattern, sources: tuple[int, ...]) -> None:
        self._pattern = pattern
        self._sources = sources
        self.reach_bytes = pattern.reach_bytes

    def fires(self, reader: Reader) -> bool:
        return self._pattern.found_in(reader.values(self._sources))


class _Composite(_YesOrNo):
    def __init__(self, rules: Sequence[_Condition]) -> None:
        self._rules = rules
        self.reach_bytes = min(rule.reach_bytes for rule in rules)


class _All(_Composite):
    def fires(self, reader: Reader) -> bool:
        return all(rule.fires(reader) for rule in self._rules)


class _Any(_Composite):
    def fires(self, reader: Reader) -> bool:
        return any(rule.fires(reader) for rule in self._rules)


class _None(_Composite):
    def fires(self, reader: Reader) -> bool:
        return not any(rule.fires(reader) for rule in self._rules)


class _Scored:
    """Weighted searches. All of them run, so that the score shows how close a request came to the threshold."""

    def __init__(self, weighted: Sequence[tuple[float, _Search]], threshold: float) -> None:
        self._weighted = weighted
        self._threshold = threshold
        self.reach_bytes = min(search.reach_bytes for _, search in weighted)

    def judge(self, reader: Reader) -> Judgement:
        # Rounded once: `sum` rounds differently from Python 3.12 on, and a threshold may lie in between.
        score = fsum(weight for weight, search in self._weighted if search.fires(reader))
        return Judgement(score >= self._threshold, score)

    def fires(self, reader: Reader) -> bool:
        return self.judge(reader).fired


_OPERATORS: Final = {"and": _All, "or": _Any, "not": _None}


def _compiled(config: RuleConfig, where: str, sources: ScopeSources) -> _Condition:
    """Compile the part of a rule at `where`, and add its sources."""
    match config:
        case Composite():
            return _OPERATORS[config.operator](
                [
                    _compiled(rule, _below(where, f"rules[{number}]"), sources)
                    for number, rule in enumerate(config.rules)
                ]
            )
        case Scored():
            weighted = [
                (part.weight, _search(part.rule, _below(where, f"signatures[{number}].rule"), sources))
                for number, part in enumerate(config.signatures)
            ]
            return _Scored(weighted, config.threshold)
        case _:
            return _search(config, where, sources)


def _search(config: Signature | Keywords, where: str, sources: ScopeSources) -> _Search:
    try:
        numbers = sources.add(config)
    except UnusableScope as unusable:
        raise UnusableRule(_below(where, unusable.where), unusable.position, unusable.reason) from None
    return _Search(_pattern(config, where), numbers)


def _pattern(config: Signature | Keywords, where: str) -> _Pattern:
    field = "keywords" if isinstance(config, Keywords) else "pattern"
    try:
        if isinstance(config, Keywords):
            return compile_keywords(
                config.keywords, case_sensitive=config.case_sensitive, whole_words=config.whole_words
            )
        return compile_literal(config.pattern) if config.match == "literal" else compile_regex(config.pattern)
    except UnusablePattern as unusable:
        raise UnusableRule(_below(where, field), unusable.position, unusable.reason) from None


def _patterns(config: RuleConfig) -> int:
    """The number of patterns of a rule, including those that select exclusions."""
    match config:
        case Composite():
            return sum(map(_patterns, config.rules))
        case Scored():
            return sum(_patterns(part.rule) for part in config.signatures)
        case _:
            return 1 + sum(excluded.endswith("/") for excluded in config.excluded)
