from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from shieldx.top.drawing import View, draw, rate, size
from shieldx.top.metrics_page import AgentPartition, Figures, Page
from shieldx.top.sparkline import sparkline
from shieldx.top.watch import Answer, Watch

if TYPE_CHECKING:
    from shieldx.top.board import Board


def board(partitions: int, *workers: str) -> Board:
    watch = Watch()

    def page(worker: int, at_s: int) -> Page:
        mine = range(worker, partitions, len(workers) or 1)
        figures = Figures(records=60_000 * at_s, transactions=60 * at_s, lag=345, state_bytes=7e6)
        return Page({AgentPartition("credits", number): figures for number in mine})

    for at_s in (0, 1):
        found = watch.look({name: Answer(at_s, page(i, at_s)) for i, name in enumerate(workers or ["a:1"])})
    return found


def drawn(what: Board, *, width: int = 140, lines: int | None = None, by: Any = None) -> list[str]:
    console = Console(width=width, height=lines or 50, force_terminal=True, color_system=None)
    view = View(by=by, interval_s=1, history=[1, 2], hint="q ends")
    with console.capture() as captured:
        console.print(draw(what, view, console, lines=lines))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_board() -> None:
    assert drawn(board(2)) == [
        "shieldx top  1 worker, 1 agent, 2 partitions, every 1 s  q ends",
        "120,000 records/s  120 transactions/s  lag 690  ▅█",
        "",
        "agent and           records     trans-     records/  commit  commit         state     dead",
        "partition  state         /s  actions/s  transaction  p50 ms  p95 ms  lag     size  letters  fenced  restarts",
        "credits    running  120,000        120        1,000       -       -  690  14.0 MB        0       0         0",
        "     0     running   60,000         60        1,000                  345   7.0 MB        0       0         0",
        "     1     running   60,000         60        1,000                  345   7.0 MB        0       0         0",
    ]


def test_several_workers_are_named() -> None:
    lines = drawn(board(2, "a:1", "b:1"))
    assert [line.split()[1:3] for line in lines[-3:]] == [["2", "workers"], ["a:1", "running"], ["b:1", "running"]]


def test_partitions_are_shown_if_they_fit_and_agents_otherwise() -> None:
    assert len(drawn(board(12), lines=20)) > 12
    assert drawn(board(500), lines=20)[5].startswith("credits")
    assert len(drawn(board(500), lines=20)) == 6


def test_partitions_that_do_not_fit_are_counted() -> None:
    lines = drawn(board(500), lines=20, by="partition")
    assert len(lines) <= 20
    shown = len(lines) - 6
    assert lines[-1].strip() == f"and {501 - shown} more; --by agent shows one row per agent"


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_narrow_terminal_gets_fewer_columns_and_whole_figures(width: int) -> None:
    lines = drawn(board(2), width=width)
    assert all(len(line) <= width for line in lines[2:])
    assert all("120,000" in line and " 690 " in line for line in lines if line.startswith("credits"))
    assert not any("…" in line for line in lines)


def test_a_worker_without_an_answer_is_named_below() -> None:
    silent = Watch().look({"a:1": Answer(0, None), "b:1": Answer(0, Page({AgentPartition("credits", 0): Figures()}))})
    assert drawn(silent)[-1] == "a:1  no answer"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0, "0"), (0.25, "0.2"), (9.94, "9.9"), (12.5, "12"), (1234567.0, "1,234,567")]
)
def test_rates_show_significant_digits(value: float | None, text: str) -> None:
    assert rate(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_500_000_000, "2.5 GB")])
def test_sizes_have_the_units_of_the_settings(value: float, text: str) -> None:
    assert size(value) == text


def test_a_sparkline_is_scaled_from_0_to_the_largest() -> None:
    assert sparkline([0, 50, 100]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""
