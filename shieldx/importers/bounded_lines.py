"""Reads a file line by line with a limit on the line length."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from shieldx.importers.imported import FixInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_LINE_BYTES = 8 * 1024 * 1024
"""Longer than any sample with its body escaped six-fold. A file without line breaks must not fill the memory."""


def read_lines(path: Path) -> Iterator[bytes | None]:
    """Yield each line with its line end, or `None` for a line that is too long. A byte order mark is dropped.

    Raises:
        FixInput: The file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            yield from lines_in(stream)
    except OSError as error:
        raise FixInput(f"cannot read {path}: {error.strerror}") from error


def lines_in(stream: BinaryIO) -> Iterator[bytes | None]:
    """Yield the lines of a stream in the same way. Raises OSError."""
    first = _line(stream)
    yield first.removeprefix(b"\xef\xbb\xbf") if first else first
    while (line := _line(stream)) != b"":
        yield line


def _line(stream: BinaryIO) -> bytes | None:
    line = stream.readline(MAX_LINE_BYTES + 1)
    if len(line) <= MAX_LINE_BYTES:
        return line
    while line and not line.endswith(b"\n"):
        line = stream.readline(MAX_LINE_BYTES)
    return None
