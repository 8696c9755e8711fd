"""The results of a run as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.grid import Grid
from bench.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.latency import Latency

LEDGER = "shieldx"
P95_WANTED_MS = {"steady 5,000/s": 50.0, "one caller": 15.0}
P95_AIM_MS = {"steady 5,000/s": 28.0}

LONGEST_REASON = 160
"""In characters; the full error was printed when it happened."""


class Entry(NamedTuple):
    """A contestant's rounds: its rates in commands per second, and why it failed, if it did."""

    name: str
    about: str
    rates: tuple[float, ...]
    failure: str | None
    wanted: float | None


def short_reason(error: Exception) -> str:
    """An error for a table: of several lines the last one, which ends a traceback."""
    last = (str(error).strip().splitlines() or [""])[-1]
    return f"{type(error).__name__}: {last[:LONGEST_REASON]}"


def peers_grid(entries: Sequence[Entry]) -> Grid:
    """Rates, and how many times as fast the ledger is."""
    ledger = next((entry for entry in entries if entry.name == LEDGER), None)
    ledger_rate = Rounds(ledger.rates).median if ledger and ledger.rates and not ledger.failure else None
    rows = [[entry.name, _rate(entry), *_ratio(entry, None if entry is ledger else ledger_rate)] for entry in entries]
    return Grid("the same commands on the same broker", ("who", "commands/s", "ShieldX is", "wanted", "met"), rows)


def abouts(entries: Sequence[Entry]) -> list[str]:
    """What each contestant did, as Markdown."""
    return [f"- {entry.name}: {entry.about}." for entry in entries]


def _rate(entry: Entry) -> str:
    return f"failed: {entry.failure}" if entry.failure else Rounds(entry.rates).shown()


def _ratio(entry: Entry, ledger_rate: float | None) -> tuple[str, str, str]:
    wanted = "" if entry.wanted is None else f"≥ {entry.wanted:g} times"
    if ledger_rate is None or entry.failure or not entry.rates:
        return "", wanted, ""
    ratio = ledger_rate / Rounds(entry.rates).median
    return f"{ratio:.1f} times as fast", wanted, "" if entry.wanted is None else _yes(ratio >= entry.wanted)


def latency_grid(seen: Mapping[str, Sequence[Latency]]) -> Grid:
    """Percentiles by measurement; each is the median of that percentile over the rounds, with its range."""
    rows = []
    for name, rounds in seen.items():
        p50, p95, p99 = (Rounds(tuple(figures)) for figures in zip(*(each[:3] for each in rounds), strict=True))
        rows.append([name, p50.shown(1), p95.shown(1), p99.shown(1), *_against_wanted(name, p95.median)])
    heading = ("measured", "p50 ms", "p95 ms", "p99 ms", "p95 wanted", "met")
    return Grid("from when a command was due until its committed result is read", heading, rows)


def _against_wanted(name: str, p95_ms: float) -> tuple[str, str]:
    wanted, aim = P95_WANTED_MS.get(name), P95_AIM_MS.get(name)
    if wanted is None:
        return "", ""
    if aim is None:
        return f"< {wanted:g} ms", _yes(p95_ms < wanted)
    return f"< {wanted:g} ms, aim {aim:g}", f"{_yes(p95_ms < wanted)}, aim {_yes(p95_ms < aim)}"


def _yes(met: bool) -> str:
    return "yes" if met else "no"
