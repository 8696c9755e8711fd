from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shieldx.top.metrics_page import AgentPartition, Durations, Figures, Page
from shieldx.top.watch import Answer, Watch

if TYPE_CHECKING:
    from shieldx.top.board import AgentRow, Board, PartitionRow

INFINITY = float("inf")


def page(*partitions: int, agent: str = "credits", **figures: Any) -> Page:
    return Page({AgentPartition(agent, number): Figures(**figures) for number in partitions})


def agent(board: Board) -> AgentRow:
    (row,) = board.agents
    return row


def partition(board: Board) -> PartitionRow:
    (row,) = agent(board).partitions
    return row


def looks(*answers: dict[str, Answer]) -> Board:
    """The board after several looks."""
    watch = Watch()
    return [watch.look(each) for each in answers][-1]


def test_the_first_look_has_no_rates_yet() -> None:
    row = partition(looks({"a": Answer(0, page(0, records=500, lag=3))}))
    assert (row.records_per_s, row.records_per_transaction, row.lag) == (None, None, 3)


def test_rates_are_those_of_the_interval() -> None:
    board = looks(
        {"a": Answer(10, page(0, 1, records=500, transactions=5))},
        {"a": Answer(12, page(0, 1, records=700, transactions=6))},
    )
    assert [row.records_per_s for row in agent(board).partitions] == [100, 100]
    assert (board.records_per_s, board.transactions_per_s) == (200, 1)
    assert agent(board).records_per_transaction == 200


def test_latency_is_that_of_the_interval_over_all_workers() -> None:
    before, after = page(0), page(0)
    before.commits["credits"] = Durations({0.1: 90, 0.2: 90, INFINITY: 90})
    after.commits["credits"] = Durations({0.1: 90, 0.2: 100, INFINITY: 100})
    board = looks({"a": Answer(0, before), "b": Answer(0, before)}, {"a": Answer(1, after), "b": Answer(1, after)})
    assert agent(board).commit_p50_ms == pytest.approx(150)
    assert agent(board).commit_p95_ms == pytest.approx(195)


def test_a_restarted_worker_has_no_negative_rate() -> None:
    board = looks({"a": Answer(0, page(0, records=500))}, {"a": Answer(2, page(0, records=50))})
    assert partition(board).records_per_s == 25


def test_a_worker_that_stops_answering_keeps_its_row_and_catches_up() -> None:
    watch = Watch()
    watch.look({"a": Answer(0, page(0, records=100, lag=7))})
    silent = watch.look({"a": Answer(1, None)})
    assert (partition(silent).state, partition(silent).records_per_s, partition(silent).lag) == ("no answer", None, 7)
    assert [(row.worker, row.state) for row in silent.workers] == [("a", "no answer")]
    assert partition(watch.look({"a": Answer(4, page(0, records=140))})).records_per_s == 10


def test_a_worker_that_never_answers_is_named() -> None:
    board = looks({"a": Answer(0, None), "b": Answer(0, page(0))})
    assert [(row.worker, row.state) for row in board.workers] == [("a", "no answer"), ("b", "running")]
    assert partition(board).worker == "b"


def test_a_partition_belongs_to_its_last_worker_although_another_page_still_shows_it() -> None:
    watch = Watch()
    stale = page(0, lag=900, transactions=50, counted_since_s=1, waiting=1)
    watch.look({"a": Answer(0, stale), "b": Answer(0, page(0, transactions=1, counted_since_s=2))})
    working = {"a": Answer(1, stale), "b": Answer(1, page(0, transactions=2, lag=4, counted_since_s=2))}
    row = partition(watch.look(working))
    assert (row.worker, row.state, row.lag) == ("b", "running", 4)
    back = {
        "a": Answer(2, page(0, transactions=51, counted_since_s=1)),
        "b": Answer(2, page(0, transactions=2, lag=4, counted_since_s=2)),
    }
    assert partition(watch.look(back)).worker == "a"
    idle = {worker: Answer(3, answer.page) for worker, answer in back.items()}
    assert partition(watch.look(idle)).worker == "a"


def test_counts_of_trouble_are_those_of_all_workers() -> None:
    board = looks({"a": Answer(0, page(0, fenced=1, restarts=2)), "b": Answer(0, page(0, fenced=3, dead_letters=4))})
    row = partition(board)
    assert (row.fenced, row.restarts, row.dead_letters) == (4, 2, 4)


def test_an_unready_worker_marks_partitions_that_neither_wait_nor_work() -> None:
    before = Page({AgentPartition("credits", number): Figures(transactions=1) for number in range(2)})
    working = Page(
        {AgentPartition("credits", 0): Figures(transactions=2), AgentPartition("credits", 1): Figures(transactions=1)}
    )
    board = looks({"a": Answer(0, before)}, {"a": Answer(1, working, ready=False)})
    assert {row.partition: row.state for row in agent(board).partitions} == {0: "running", 1: "not ready"}
    assert (agent(board).state, agent(board).in_state) == ("not ready", 1)


def test_a_partition_that_waits_for_memory_explains_an_unready_worker() -> None:
    waiting = Page({AgentPartition("credits", 0): Figures(waiting=1), AgentPartition("credits", 1): Figures()})
    board = looks({"a": Answer(0, waiting, ready=False)})
    assert {row.partition: row.state for row in agent(board).partitions} == {0: "waiting for memory", 1: "running"}


def test_agents_in_trouble_come_first_and_then_the_busiest() -> None:
    def pages(at_s: float) -> Page:
        partitions = {
            AgentPartition("idle", 0): Figures(),
            AgentPartition("busy", 0): Figures(records=100 * at_s),
            AgentPartition("stuck", 0): Figures(waiting=1),
        }
        return Page(partitions)

    board = looks({"a": Answer(0, pages(0))}, {"a": Answer(1, pages(1))})
    assert [row.agent for row in board.agents] == ["stuck", "busy", "idle"]


def test_partitions_are_sorted_by_number_until_they_lag() -> None:
    lags = {0: 900, 1: 20_000, 2: 0, 3: 30_000}
    board = looks({"a": Answer(0, Page({AgentPartition("credits", n): Figures(lag=lag) for n, lag in lags.items()}))})
    assert [row.partition for row in agent(board).partitions] == [1, 3, 0, 2]
