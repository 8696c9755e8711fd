"""The transformed values of a request that a rule looks at, each computed once for all parts of the rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.domains.shadow.matching.parts import UnknownTarget, check_target
from shieldx.domains.shadow.matching.patterns import UnusablePattern, compile_regex
from shieldx.domains.shadow.matching.transformations import apply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.domains.shadow.matching.parts import ParsedRequest
    from shieldx.domains.shadow.matching.patterns import Regex
    from shieldx.domains.shadow.rule import Scope


class UnusableScope(Exception):
    """Change the target at `where`: it does not exist, or its expression cannot be used."""

    def __init__(self, where: str, position: int | None, reason: str) -> None:
        super().__init__(reason)
        self.where = where
        self.position = position
        self.reason = reason


class ValueSource(NamedTuple):
    """A target, the names excluded from it, and the transformations of its values. Equal sources are read only once."""

    target: str
    names_left_out: tuple[str, ...]
    transformations: tuple[str, ...]


class ScopeSources:
    """The distinct sources of a rule; reads them for one request after another."""

    def __init__(self) -> None:
        self._indexes: dict[ValueSource, int] = {}
        self._exclusions: list[tuple[frozenset[bytes], tuple[Regex, ...]]] = []

    def add(self, scope: Scope) -> tuple[int, ...]:
        """The numbers of the sources that the scope names, in its order. Raises `UnusableScope`."""
        for number, target in enumerate(scope.targets):
            _check(target, f"targets[{number}]")
        for number, excluded in enumerate(scope.excluded):
            _check_excluded(excluded, f"excluded[{number}]")
        found = []
        for target in dict.fromkeys(scope.targets):
            base = target.partition(":")[0]
            if target in scope.excluded or base in scope.excluded:
                continue
            names = (other.partition(":") for other in scope.excluded)
            names_left_out = tuple(sorted({name for of, _, name in names if of == base}))
            found.append(self._number(ValueSource(target, names_left_out, scope.transformations)))
        return tuple(found)

    def _number(self, source: ValueSource) -> int:
        known = self._indexes.get(source)
        if known is not None:
            return known
        names = frozenset(name.encode().lower() for name in source.names_left_out if not _is_expression(name))
        expressions = tuple(compile_regex(name[1:-1]) for name in source.names_left_out if _is_expression(name))
        self._exclusions.append((names, expressions))
        return self._indexes.setdefault(source, len(self._indexes))

    def reader(self, parsed: ParsedRequest) -> Reader:
        """A reader of the sources for one request."""
        return Reader(parsed, tuple(self._indexes), self._exclusions)


class Reader:
    """The values of one request by source number."""

    def __init__(
        self,
        parsed: ParsedRequest,
        sources: tuple[ValueSource, ...],
        exclusions: list[tuple[frozenset[bytes], tuple[Regex, ...]]],
    ) -> None:
        self._parsed = parsed
        self._sources = sources
        self._exclusions = exclusions
        self._read: dict[int, list[bytes]] = {}

    def values(self, numbers: tuple[int, ...]) -> Iterator[bytes]:
        """The values of these sources in order."""
        for number in numbers:
            known = self._read.get(number)
            if known is None:
                known = self._read[number] = self._values(number)
            yield from known

    def _values(self, number: int) -> list[bytes]:
        target, _, transformations = self._sources[number]
        pairs = self._parsed.values(target)
        names, expressions = self._exclusions[number]
        if names:
            pairs = [pair for pair in pairs if pair[0].lower() not in names]
        for expression in expressions:
            pairs = [pair for pair in pairs if not expression.found_in((pair[0],))]
        return [apply(transformations, value) for _, value in pairs]


def _is_expression(name: str) -> bool:
    return len(name) > 2 and name[0] == "/" == name[-1]  # noqa: PLR2004  # two slashes and at least one character


def _check(target: str, where: str) -> None:
    try:
        check_target(target)
    except UnknownTarget as error:
        raise UnusableScope(where, None, str(error)) from None


def _check_excluded(excluded: str, where: str) -> None:
    base, colon, name = excluded.partition(":")
    _check(base, where)
    if colon and not name:
        raise UnusableScope(where, None, "no name after the colon; remove the colon to exclude all names")
    if _is_expression(name):
        try:
            compile_regex(name[1:-1])
        except UnusablePattern as unusable:
            offset = None if unusable.position is None else unusable.position + len(base) + len(":/")
            raise UnusableScope(where, offset, unusable.reason) from None
