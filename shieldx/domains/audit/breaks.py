"""The kinds of breaks in a log, and their locations."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


MOST_SAID = 120


def brief(text: str) -> str:
    """A text shortened for a message, since it may quote a megabyte of a record."""
    return text if len(text) <= MOST_SAID else f"{text[:MOST_SAID]}…"


class BreakKind(StrEnum):
    """The kinds of breaks that docs/reference/audit-format.md lists."""

    MALFORMED = "malformed"
    TOMBSTONE = "tombstone"
    MISPLACED = "misplaced"
    HASH = "hash"
    MAC = "mac"
    UNKNOWN_KEY = "unknown_key"
    KEY_CHANGE = "key_change"
    LINK = "link"
    GAP = "gap"
    DUPLICATE = "duplicate"
    ORDER = "order"
    TRUNCATED = "truncated"
    HEAD = "head"
    EXTRA = "extra"
    MANIFEST = "manifest"
    SET_ASIDE = "set_aside"


class Break(msgspec.Struct, frozen=True):
    """One problem with the entries `first` to `last` of a shard. Both are None if no entry can be identified.

    `place` is where the first of them was read, for example its offset in a partition or a file.
    """

    kind: BreakKind
    shard: int | None
    first: int | None
    last: int | None
    place: int | None
    detail: str

    @property
    def sequences(self) -> str | None:
        """`7` or `7 to 9`; None if no entry can be identified."""
        if self.first is None:
            return None
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def entries(self) -> int:
        """The number of affected entries, or 1 if none can be identified."""
        return 1 if self.first is None or self.last is None else self.last - self.first + 1


class Breaks:
    """Collects breaks in the order of discovery, and merges those of adjacent entries."""

    def __init__(self) -> None:
        self._found: list[Break] = []
        self._last: dict[BreakKind, int] = {}
        """The index of the last break of each kind."""

    def add(self, kind: BreakKind, shard: int, sequence: int, place: int | None, detail: str) -> None:
        """Add a problem with one entry."""
        self.add_range(Break(kind, shard, sequence, sequence, place, detail))

    def add_range(self, found: Break) -> None:
        """Add a problem with several entries."""
        index = self._last.get(found.kind)
        if index is not None:
            last = self._found[index]
            if (
                found.first is not None
                and last.last == found.first - 1
                and (last.shard, last.detail) == (found.shard, found.detail)
            ):
                self._found[index] = msgspec.structs.replace(last, last=found.last)
                return
        self._last[found.kind] = len(self._found)
        self._found.append(found)

    def extend(self, found: Iterable[Break]) -> None:
        """Add breaks that were found elsewhere."""
        for each in found:
            self.add_range(each)

    def __iter__(self) -> Iterator[Break]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
