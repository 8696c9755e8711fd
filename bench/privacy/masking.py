"""Masking against one bare RE2 pass of its own pattern, and against Presidio."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from bench.grid import Grid
from bench.rounds import Rounds, rotated
from shieldx.privacy.masker import Masker

if TYPE_CHECKING:
    from collections.abc import Callable

BARE, WHOLE, TEXT, STREAM = "bare pass", "`mask_bytes`", "`mask`, of str", "stream of 64 KiB pieces"
BARE_LINES, LINES, PRESIDIO = "bare pass, line by line", "`mask_bytes`, line by line", "Presidio, line by line"
_PIECE_BYTES = 64 * 1024


class MaskingRatio(NamedTuple):
    """A contestant, the one that it is compared with, and the wanted ratio."""

    name: str
    against: str | None = None
    wanted: float | None = None


ROWS = (
    MaskingRatio(BARE),
    MaskingRatio(WHOLE, BARE, 0.5),
    MaskingRatio(TEXT, BARE, 0.5),
    MaskingRatio(STREAM, BARE, 0.5),
    MaskingRatio(BARE_LINES),
    MaskingRatio(LINES, BARE_LINES, 0.5),
    MaskingRatio(PRESIDIO),
    MaskingRatio(LINES, PRESIDIO, 50),
)


def measure(text: bytes, rounds: int, presidio_bytes: int, analyze: Callable[[str], int]) -> dict[str, Rounds]:
    """MB/s of each contestant over a text, in every round in another order. Presidio gets only the first bytes."""
    contestants = _contestants(text, presidio_bytes, analyze)
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name in rotated(list(contestants), number):
            size, work = contestants[name]
            begun = perf_counter()
            work()
            figures[name].append(size / (perf_counter() - begun) / 1e6)
    return {name: Rounds(tuple(found)) for name, found in figures.items()}


def _contestants(
    text: bytes, presidio_bytes: int, analyze: Callable[[str], int]
) -> dict[str, tuple[int, Callable[[], object]]]:
    masker = Masker()
    bare = masker.pattern
    decoded = text.decode()
    lines = text[: len(text) // 8].splitlines(keepends=True)
    some = text[:presidio_bytes].decode(errors="ignore").splitlines()
    line_bytes = sum(map(len, lines))

    def stream() -> None:
        masking = masker.stream()
        for at in range(0, len(text), _PIECE_BYTES):
            masking.feed(text[at : at + _PIECE_BYTES])
        masking.close()

    return {
        BARE: (len(text), lambda: sum(1 for _ in bare.finditer(text))),
        WHOLE: (len(text), lambda: masker.mask_bytes(text)),
        TEXT: (len(text), lambda: masker.mask(decoded)),
        STREAM: (len(text), stream),
        BARE_LINES: (line_bytes, lambda: [bare.search(line) for line in lines]),
        LINES: (line_bytes, lambda: [masker.mask_bytes(line) for line in lines]),
        PRESIDIO: (sum(map(len, some)), lambda: [analyze(line) for line in some]),
    }


def grid(title: str, figures: dict[str, Rounds]) -> Grid:
    """The table of a text."""
    rows = []
    for row in ROWS:
        found = figures[row.name]
        ratio = None if row.against is None else found.median / figures[row.against].median
        met = "" if row.wanted is None or ratio is None else ("yes" if ratio >= row.wanted else "**no**")
        rows.append(
            (
                row.name,
                found.shown(3 if found.median < 1 else 0),
                "" if ratio is None else f"{ratio:,.2f} of {row.against}",
                "" if row.wanted is None else f"{row.wanted:g}",
                met,
            )
        )
    return Grid(title, ("what", "MB/s", "ratio", "wanted", "met"), rows)
