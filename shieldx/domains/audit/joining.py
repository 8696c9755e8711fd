"""Joins the reports of a log's segments to a verdict on every shard."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from enum import Enum
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit.breaks import Break, BreakKind, Breaks, brief
from shieldx.domains.audit.entry import GENESIS
from shieldx.domains.audit.segment import UNLINKED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shieldx.domains.audit.segment import Run, SegmentReport

Ranges = tuple[tuple[int, int], ...]
"""First and last sequence numbers in order, both included."""


class Extent(Enum):
    """What a log must contain if the sequence numbers are not known individually."""

    WHOLE = "from 0, without a gap"
    ANYTHING = "whatever it has"


class SeenHead(msgspec.Struct, frozen=True):
    """An entry that was once seen at a shard's end. The log must still contain it with the same hash."""

    shard: int
    sequence: int
    hash: str
    seen_by: str


class ShardVerdict(msgspec.Struct, frozen=True):
    """The content of a shard."""

    shard: int
    entries: int
    first: int
    last: int
    last_hash: str


class Verdict(msgspec.Struct, frozen=True):
    """The content of a log, and all its problems."""

    entries: int
    shards: list[ShardVerdict]
    breaks: list[Break]
    is_certain: bool = True
    """False if some entries follow duplicates in another segment. Only reading all segments in sequence shows which
    of the duplicates they are linked to."""

    @property
    def is_whole(self) -> bool:
        """Whether there are no problems."""
        return not self.breaks


class _Piece(msgspec.Struct):
    """A run, or the part of it that no earlier run contained. The ends of a part may be unknown."""

    first: int
    last: int
    prev_hash: str | None
    last_hash: str | None
    first_key_id: str | None
    next_key_id: str | None
    place: int


def join(
    reports: Sequence[SegmentReport],
    heads: Iterable[SeenHead] = (),
    expected: Mapping[int, Ranges] | Extent = Extent.WHOLE,
) -> Verdict:
    """Check what a single segment cannot show: order, gaps, duplicates, links between runs, and heads.

    The reports must be in the order of their segments. `expected` is the set of sequence numbers that each shard must
    contain.
    """
    breaks = Breaks()
    runs: dict[int, list[Run]] = defaultdict(list)
    for report in reports:
        breaks.extend(report.breaks)
        for run in report.runs:
            runs[run.shard].append(run)
    for shard in () if isinstance(expected, Extent) else expected:
        runs.setdefault(shard, [])
    shards, is_certain = [], True
    for shard in sorted(runs):
        chain = _ShardChain(shard, breaks)
        for run in runs[shard]:
            chain.add(run)
        is_certain &= chain.is_certain
        chain.check_links()
        if expected is Extent.WHOLE:
            chain.check_whole()
        elif not isinstance(expected, Extent):
            chain.check_ranges(expected.get(shard, ()))
        if chain.pieces:
            entries = sum(piece.last - piece.first + 1 for piece in chain.pieces)
            first, last = chain.pieces[0], chain.pieces[-1]
            shards.append(ShardVerdict(shard, entries, first.first, last.last, last.last_hash or ""))
    _check_heads(heads, reports, {shard.shard: shard.last for shard in shards}, breaks)
    return Verdict(sum(report.entries for report in reports), shards, list(breaks), is_certain)


class _ShardChain:
    """The runs of a shard in order."""

    def __init__(self, shard: int, breaks: Breaks) -> None:
        self._shard = shard
        self._breaks = breaks
        self.pieces: list[_Piece] = []
        """In order and without overlap; of duplicate entries, the first one read."""
        self.is_certain = True

    def add(self, run: Run) -> None:
        """Add the next run."""
        if self.pieces and run.first <= self.pieces[-1].last:
            self._add_late(run)
        else:
            self.pieces.append(_piece(run, run.first, run.last))

    def check_links(self) -> None:
        """Check the links between adjacent pieces, and that the chain's key signed all of them.

        The key only changes with an entry that it signed itself: an entry signed with another key cannot rotate.
        """
        key_id: str | None = None
        for before, piece in pairwise([None, *self.pieces]):
            if before is None or piece is None or piece.first != before.last + 1:
                key_id = None if piece is None else piece.next_key_id
                continue
            if None not in (before.last_hash, piece.prev_hash) and before.last_hash != piece.prev_hash:
                self._break(BreakKind.LINK, piece.first, piece.first, piece.place, UNLINKED)
            if None in (key_id, piece.first_key_id) or key_id == piece.first_key_id:
                key_id = piece.next_key_id
            else:
                detail = brief(
                    f"signed with key {piece.first_key_id!r}, but the chain's key is {key_id!r} and no entry rotates it"
                )
                self._break(BreakKind.KEY_CHANGE, piece.first, piece.last, piece.place, detail)
        if self.pieces and self.pieces[0].first == 0 and self.pieces[0].prev_hash not in (GENESIS, None):
            self._break(
                BreakKind.LINK, 0, 0, self.pieces[0].place, "it is the first entry, but its prev_hash is not zero"
            )

    def check_whole(self) -> None:
        """Report gaps between the first and the last existing entry."""
        after = 0
        for piece in self.pieces:
            if piece.first > after:
                self._break(BreakKind.GAP, after, piece.first - 1, piece.place, "missing")
            after = piece.last + 1

    def check_ranges(self, expected: Ranges) -> None:
        """Report missing and surplus entries."""
        there = [(piece.first, piece.last) for piece in self.pieces]
        for first, last in _without(expected, there):
            self._break(BreakKind.GAP, first, last, None, "missing")
        for first, last in _without(there, expected):
            self._break(BreakKind.EXTRA, first, last, None, "not among the entries that were exported")

    def _add_late(self, run: Run) -> None:
        """Add a run that follows later ones: its new entries are out of order, the others are duplicates."""
        new = _without([(run.first, run.last)], [(piece.first, piece.last) for piece in self._overlapping(run)])
        for first, last in _without([(run.first, run.last)], new):
            self.is_certain &= run.first == run.last
            self._break(BreakKind.DUPLICATE, first, last, run.place, "duplicate")
        for first, last in new:
            if first < self.pieces[-1].last:
                self._break(BreakKind.ORDER, first, last, run.place, "it follows later ones")
            self.pieces.insert(bisect_right(self.pieces, first, key=_first), _piece(run, first, last))

    def _overlapping(self, run: Run) -> list[_Piece]:
        begin = max(0, bisect_right(self.pieces, run.first, key=_first) - 1)
        end = bisect_right(self.pieces, run.last, key=_first)
        return [piece for piece in self.pieces[begin:end] if piece.last >= run.first]

    def _break(self, kind: BreakKind, first: int, last: int, place: int | None, detail: str) -> None:
        self._breaks.add_range(Break(kind, self._shard, first, last, place, detail))


_first = attrgetter("first")


def _piece(run: Run, first: int, last: int) -> _Piece:
    begins, ends = first == run.first, last == run.last
    return _Piece(
        first,
        last,
        run.prev_hash if begins else None,
        run.last_hash if ends else None,
        run.first_key_id if begins else None,
        run.next_key_id if ends else None,
        run.place,
    )


def _without(ranges: Iterable[tuple[int, int]], taken: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of the ranges that no other range covers; both arguments are in order."""
    left, index = [], 0
    for first, last in ranges:
        at = first
        while index < len(taken) and taken[index][1] < at:
            index += 1
        look = index
        while look < len(taken) and taken[look][0] <= last:
            if taken[look][0] > at:
                left.append((at, taken[look][0] - 1))
            at = max(at, taken[look][1] + 1)
            look += 1
        if at <= last:
            left.append((at, last))
    return left


def _check_heads(
    heads: Iterable[SeenHead], reports: Sequence[SegmentReport], lasts: Mapping[int, int], breaks: Breaks
) -> None:
    """Find entries that were cut off after a head was seen, and chains that differ from the one that was seen."""
    hashes: dict[tuple[int, int], str] = {}
    for report in reports:
        for shard, sequence, hash_ in report.watched:
            hashes.setdefault((shard, sequence), hash_)  # of duplicate entries, the first is in the chain
    furthest: dict[int, SeenHead] = {}
    for head in heads:
        if head.sequence > lasts.get(head.shard, -1):
            furthest[head.shard] = max(head, furthest.get(head.shard, head), key=lambda each: each.sequence)
        elif hashes.get((head.shard, head.sequence), head.hash) != head.hash:
            detail = f"{head.seen_by} has seen a different entry there"
            breaks.add_range(Break(BreakKind.HEAD, head.shard, head.sequence, head.sequence, None, detail))
    for shard, head in furthest.items():
        detail = f"{head.seen_by} has seen them"
        breaks.add_range(Break(BreakKind.TRUNCATED, shard, lasts.get(shard, -1) + 1, head.sequence, None, detail))
