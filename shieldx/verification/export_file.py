"""An exported audit log, cut into segments by byte offset."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import msgspec

from shieldx.domains.audit.breaks import BreakKind
from shieldx.domains.audit.manifest import LastLine, Manifest
from shieldx.domains.audit.record import Malformed, check_spelling, decode, decode_lines
from shieldx.domains.audit.segment import UnusableRecord
from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from shieldx.domains.audit.segment import Observation

SEGMENT_BYTES = 16 * 1024 * 1024
READ_BYTES = 64 * 1024
"""Read size. The decoded content of a megabyte of lines exceeds the CPU cache, which costs a quarter of the speed."""
_LAST_LINE = b'{"manifest"'


class CheckFile(ShieldXError):
    """A file cannot be read or written.

    Check the path and its permissions.
    """


class ExportSegment(msgspec.Struct, frozen=True):
    """The lines of a file that begin in a range of bytes."""

    path: Path
    begin: int
    end: int

    @property
    def weight(self) -> int:
        """The number of bytes in the range."""
        return self.end - self.begin

    async def read(self) -> AsyncIterator[Iterable[Observation]]:
        """Yield the lines; the place of a line is the offset where it begins. Raises CheckFile."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.begin)
                place = self.begin
                while place < self.end:
                    lines = file.readlines(READ_BYTES)
                    if not lines:
                        return
                    yield _observed(lines, place, self.end)
                    place += sum(map(len, lines))
        except OSError as error:
            raise CheckFile(f"cannot read {self.path}: {error}") from error


class Export(NamedTuple):
    """An exported file: its segments, and its manifest, if it has one."""

    segments: list[ExportSegment]
    manifest: Manifest | None


def open_export(path: Path) -> Export:
    """Open an exported file.

    Raises:
        CheckFile: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            last = _last_line_start(file, size)
            file.seek(last)
            line = file.read()
            manifest = _manifest_in(line)
            end = last if manifest is not None or line.startswith(_LAST_LINE) else size
            cuts = [0]
            while cuts[-1] < end:
                file.seek(min(cuts[-1] + SEGMENT_BYTES, end))
                if file.tell() < end:
                    file.readline()
                cuts.append(min(file.tell(), end))
    except OSError as error:
        raise CheckFile(f"cannot read {path}: {error}") from error
    segments = [ExportSegment(path, begin, stop) for begin, stop in pairwise(cuts)]
    return Export(segments, manifest)


def line_number(path: Path, place: int) -> int:
    """The number of the line that begins at the offset `place`."""
    number, left = 1, place
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, READ_BYTES))):
            number += block.count(b"\n")
            left -= len(block)
    return number


def _observed(lines: list[bytes], place: int, end: int) -> Iterable[Observation]:
    """The entries of the lines that begin before `end`; the place of an entry is the offset where its line begins."""
    places = list(accumulate(map(len, lines), initial=place))
    count = bisect_left(places, end, hi=len(lines))
    entries = decode_lines(b"".join(lines[:count]))
    return _one_by_one(lines[:count], places) if entries is None else zip(places, entries, strict=False)


def _one_by_one(lines: list[bytes], places: list[int]) -> Iterator[Observation]:
    for place, line in zip(places, lines, strict=False):
        try:
            yield place, decode(line.rstrip(b"\r\n"))
        except Malformed as error:
            yield place, UnusableRecord(BreakKind.MALFORMED, None, None, str(error))


def _last_line_start(file: BinaryIO, size: int) -> int:
    """The offset where the last line begins: after the last line feed that does not end the file."""
    start = end = size - 1
    while start > 0:
        start = max(0, start - READ_BYTES)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _manifest_in(line: bytes) -> Manifest | None:
    """The manifest, if the line is a complete one. Its presence shows that the file was finished."""
    if not line.startswith(_LAST_LINE) or not line.endswith(b"\n"):
        return None
    try:
        check_spelling(line)
        return msgspec.json.decode(line, type=LastLine).manifest
    except (msgspec.MsgspecError, RecursionError, Malformed):
        return None
