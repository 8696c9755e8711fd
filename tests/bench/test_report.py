from __future__ import annotations

from bench.latency import Latency
from bench.report import Entry, abouts, latency_grid, peers_grid, short_reason

LEDGER = Entry("shieldx", "all of it", (30_000.0, 32_000.0, 31_000.0), None, None)


def test_a_peer_is_shown_with_the_ratio_and_whether_it_meets_the_wanted_one() -> None:
    grid = peers_grid(
        [
            LEDGER,
            Entry("slow", "plain", (3_000.0, 3_100.0, 3_200.0), None, 10.0),
            Entry("fast", "plain", (20_000.0,), None, 2.0),
            Entry("note", "plain", (31_000.0,), None, None),
        ]
    )
    assert grid.rows == [
        ["shieldx", "31,000 (30,000 to 32,000)", "", "", ""],
        ["slow", "3,100 (3,000 to 3,200)", "10.0 times as fast", "≥ 10 times", "yes"],
        ["fast", "20,000", "1.6 times as fast", "≥ 2 times", "no"],
        ["note", "31,000", "1.0 times as fast", "", ""],
    ]


def test_a_failed_contestant_is_shown_with_the_reason_and_no_rate() -> None:
    grid = peers_grid([LEDGER, Entry("broken", "plain", (5.0,), "Stalled: 3 of 9 results", 2.0)])
    assert grid.rows[1] == ["broken", "failed: Stalled: 3 of 9 results", "", "≥ 2 times", ""]


def test_without_the_ledger_there_are_rates_but_no_ratios() -> None:
    grid = peers_grid([Entry("alone", "plain", (5.0,), None, 2.0)])
    assert grid.rows == [["alone", "5", "", "≥ 2 times", ""]]


def test_median_latencies_are_compared_with_the_wanted_ones() -> None:
    grid = latency_grid(
        {
            "steady 1,000/s": [Latency(1.0, 2.0, 3.0, 9)],
            "steady 5,000/s": [Latency(10.0, p95_ms, 90.0, 9) for p95_ms in (60.0, 30.0, 40.0)],
            "one caller": [Latency(5.0, 15.0, 20.0, 9)],
        }
    )
    assert grid.rows[0][-2:] == ["", ""]
    assert grid.rows[1][2] == "40.0 (30.0 to 60.0)"
    assert grid.rows[1][-2:] == ["< 50 ms, aim 28", "yes, aim no"]
    assert grid.rows[2][-2:] == ["< 15 ms", "no"]


def test_a_reason_in_a_table_is_the_last_line_of_the_error() -> None:
    assert short_reason(RuntimeError("Traceback\n  File x\nKeyError: 'a'\n")) == "RuntimeError: KeyError: 'a'"
    assert short_reason(TimeoutError()) == "TimeoutError: "
    assert len(short_reason(RuntimeError("x" * 1000))) < 200


def test_each_contestant_is_described_below_the_table() -> None:
    assert abouts([LEDGER]) == ["- shieldx: all of it."]
