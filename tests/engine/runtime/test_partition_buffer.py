"""Of several inputs the earliest record comes first; what is given stays until it is removed."""

from __future__ import annotations

from typing import Any

from shieldx.engine.runtime.partition_buffer import PLENTY_BYTES, PartitionBuffer
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.testing.memory_log import MemoryRecord


class Fetching:
    """What a buffer asks of the consumer; that needs a broker, and says nothing of the order."""

    def __init__(self) -> None:
        self.paused = False

    def seek(self, *_: Any) -> None: ...

    def pause(self, *_: Any) -> None:
        self.paused = True

    def resume(self, *_: Any) -> None:
        self.paused = False


def record(topic: str, offset: int, at_ms: int) -> MemoryRecord:
    return MemoryRecord(topic, 0, offset, at_ms, None, b"", ())


def buffer_of(batch: int, *topics: str) -> tuple[PartitionBuffer, Fetching]:
    fetching = Fetching()
    made = PartitionBuffer(fetching, [TopicPartition(topic, 0) for topic in topics], batch=batch)
    made.restart({TopicPartition(topic, 0): 0 for topic in topics})
    return made, fetching


def places(records: list[Any]) -> list[tuple[str, int]]:
    return [(each.topic, each.offset) for each in records]


def test_records_of_several_inputs_come_by_their_times() -> None:
    made, _ = buffer_of(10, "a", "b")
    made.put([record("b", 0, 500), record("b", 1, 900)])
    made.put([record("a", 0, 100), record("a", 1, 600), record("a", 2, 600)])
    assert places(made.first()) == [("a", 0), ("b", 0), ("a", 1), ("a", 2), ("b", 1)]


def test_what_comes_meanwhile_does_not_change_what_is_removed() -> None:
    made, _ = buffer_of(2, "a", "b")
    made.put([record("a", 0, 300), record("a", 1, 400)])
    assert places(made.first()) == [("a", 0), ("a", 1)]
    made.put([record("b", 0, 100)])
    made.remove(2)
    assert places(made.first()) == [("b", 0)]
    assert {tp.topic: offset for tp, offset in made.taken.items()} == {"a": 2, "b": 0}


def test_within_an_input_offsets_decide_even_where_times_go_back() -> None:
    made, _ = buffer_of(10, "a", "b")
    made.put([record("a", 0, 900), record("a", 1, 100)])
    made.put([record("b", 0, 500)])
    assert places(made.first()) == [("b", 0), ("a", 0), ("a", 1)]


def test_fetching_pauses_while_large_records_wait_until_their_fetch_is_taken() -> None:
    made, fetching = buffer_of(10, "a", "b")
    made.put([record("a", 0, 0)], PLENTY_BYTES)
    assert not fetching.paused
    made.put([record("b", 0, 1), record("b", 1, 2)], 1)
    assert fetching.paused
    made.first()
    made.remove(1)
    assert not fetching.paused, "only a small fetch waits"
    made.first()
    made.remove(2)
    made.put([record("a", 1, 3), record("a", 2, 4)], PLENTY_BYTES + 1)
    for paused in (True, False):
        made.first()
        made.remove(1)
        assert fetching.paused is paused, "until no record of the large fetch waits"
    made.put([record("a", 3, 5)], PLENTY_BYTES + 1)
    made.restart({TopicPartition(topic, 0): 0 for topic in "ab"})
    made.put([record("a", 0, 0)], 1)
    assert not fetching.paused, "what waited before was dropped"


def test_fetching_pauses_while_plenty_waits_in_all_inputs_together() -> None:
    made, fetching = buffer_of(2, "a", "b")
    made.put([record("a", number, number) for number in range(4)])
    assert not fetching.paused
    made.put([record("b", number, number) for number in range(3)])
    assert fetching.paused
    for _ in range(3):
        made.remove(len(made.first()))
    assert not fetching.paused
