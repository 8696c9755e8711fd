"""A range of a partition's offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_STEP_OFFSETS = 50_000
"""Reading this many costs more than asking for them; a larger step would only overshoot."""


class OffsetRange(NamedTuple):
    """The offsets from `begin` up to `end`, which is not included.

    A range has more offsets than records: the marker of each transaction takes one, and compaction leaves gaps.
    """

    begin: int
    end: int

    @property
    def offsets(self) -> int:
        """How many offsets the range has."""
        return max(0, self.end - self.begin)

    def steps_back(self, offsets: int, *, growth: int = 2) -> Iterator[OffsetRange]:
        """Cut the range into parts, the last part first.

        The last part has `offsets` offsets. Each part before it has `growth` times as many as the one after it, up to
        `MAX_STEP_OFFSETS`.
        """
        end = self.end
        while end > self.begin:
            begin = max(self.begin, end - offsets)
            yield OffsetRange(begin, end)
            end, offsets = begin, min(growth * offsets, MAX_STEP_OFFSETS)
