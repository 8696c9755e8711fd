"""What may be committed while records are answered in any order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shieldx.engine.replayable.offset_tracker import OffsetTracker, OffsetTrackers
from shieldx.engine.tasks.log import TopicPartition

HERE, THERE = TopicPartition("in", 0), TopicPartition("in", 1)


def test_nothing_is_known_before_the_first_record() -> None:
    assert OffsetTracker().next_offset is None
    assert OffsetTracker(7).uncommitted is None


def test_a_record_at_work_holds_back_all_that_are_done_behind_it() -> None:
    progress = OffsetTracker(10)
    assert all(map(progress.take, (10, 11, 12)))
    progress.done(11)
    progress.done(12)
    assert progress.uncommitted is None
    progress.done(10)
    assert progress.uncommitted == 13


def test_offsets_that_never_come_hold_back_nothing() -> None:
    progress = OffsetTracker(10)
    assert progress.take(10)
    assert progress.take(15)
    progress.done(10)
    assert progress.next_offset == 15
    progress.done(15)
    assert progress.next_offset == 16


@given(st.sets(st.integers(0, 1000), min_size=1).flatmap(lambda taken: st.permutations(sorted(taken))), st.integers(0))
def test_the_next_offset_is_the_first_one_that_is_not_done(done_in_order: list[int], how_many: int) -> None:
    progress = OffsetTracker()
    for offset in sorted(done_in_order):
        assert progress.take(offset)
    for offset in done_in_order[: how_many % (len(done_in_order) + 1)]:
        progress.done(offset)
    left = done_in_order[how_many % (len(done_in_order) + 1) :]
    assert progress.next_offset == min(left, default=max(done_in_order) + 1)


def test_a_partition_that_stays_takes_no_record_twice() -> None:
    progress = OffsetTrackers()
    progress.begin(HERE, 10)
    stays = progress.partitions[HERE]
    assert stays.take(10)
    progress.keep([HERE])
    progress.begin(HERE, 10)
    assert progress.partitions[HERE] is stays
    assert not stays.take(10)
    assert stays.take(11)
    assert not stays.gone.is_set()


def test_a_partition_that_somebody_else_had_meanwhile_begins_anew() -> None:
    progress = OffsetTrackers()
    progress.begin(HERE, 10)
    before = progress.partitions[HERE]
    assert before.take(10)
    progress.begin(HERE, 50)
    assert before.gone.is_set()
    assert progress.partitions[HERE].take(50)
    before.done(10)
    assert progress.partitions[HERE].next_offset == 50


def test_a_partition_that_goes_is_forgotten() -> None:
    progress = OffsetTrackers()
    progress.begin(HERE, None)
    progress.begin(THERE, None)
    goes = progress.partitions[THERE]
    progress.keep([HERE])
    assert goes.gone.is_set()
    assert list(progress.partitions) == [HERE]
