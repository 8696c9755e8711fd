"""Offsets of a partition from one on, up to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_OFFSETS = 50_000
"""Reading so many costs more than asking for them; a larger step back would only overshoot."""


class Span(NamedTuple):
    """Offsets from `begin` on, up to `end`, which is not included."""

    begin: int
    end: int


def steps_back(span: Span, offsets: int) -> Iterator[Span]:
    """The parts of a span from its end to its beginning, the first of so many offsets, each later one of twice as many.

    Offsets are more than records: a transaction's marker takes one.
    """
    end = span.end
    while end > span.begin:
        begin = max(span.begin, end - offsets)
        yield Span(begin, end)
        end, offsets = begin, min(2 * offsets, MOST_OFFSETS)
