"""A restart continues from a checkpoint and reads only the tail; unusable checkpoints are discarded."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shieldx.engine.tasks import task_state
from shieldx.engine.tasks.checkpoint import Checkpoint, refusal
from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import FreeDisk, WaitForDisk
from shieldx.rocksdb.store import RocksStore, RocksStores
from shieldx.state.keyed_table import KeyedTable
from shieldx.state.table import TableContext, TableSpec
from tests.engine.counter_agent import ADDS, SUMS, TIMER_TABLE, TIMERS, TOTALS, Add, Sum, counter, driver, totals
from tests.lengths import length

if TYPE_CHECKING:
    from shieldx.engine.testing.driver import AgentDriver

DAY_MS = 24 * 3_600_000
ONE = Add(tenant_id="acme")
TABLE = TopicPartition(SUMS, 0)


@pytest.fixture
def stores(tmp_path: Path) -> RocksStores:
    return RocksStores(tmp_path, memory_bytes=64_000_000)


class Watched(KeyedTable[Sum]):
    """The table of sums, which says what it was restored from."""

    restored: ClassVar[list[int | None]] = []

    def restore(self, key: bytes, value: bytes | None) -> None:
        self.restored.append(None if value is None else msgspec.json.decode(value, type=Sum).total)
        super().restore(key, value)


def open_watched(context: TableContext) -> Watched:
    Watched.restored.clear()
    return Watched(SUMS, msgspec.json.Decoder(Sum).decode, context, resident=False, extra_bytes=lambda _: 0)


WATCHED = replace(counter, state=(TableSpec(SUMS, open_watched), TIMER_TABLE))


def watched(stores: RocksStores | None) -> AgentDriver:
    return driver(WATCHED, stores=stores)


def restored() -> list[int | None]:
    """The sums that the last task was restored from."""
    return Watched.restored


async def add(ran: AgentDriver, times: int = 1, **fields: Any) -> None:
    for _ in range(times):
        ran.send(ADDS, Add(tenant_id="acme", **fields))
        await ran.run()


async def test_after_an_orderly_stop_nothing_is_read_again(stores: RocksStores) -> None:
    ran = watched(stores)
    await add(ran, 3)
    await ran.stop(0)
    await add(ran)
    assert restored() == []
    assert totals(ran) == [1, 2, 3, 4]


async def crash(ran: AgentDriver) -> None:
    """End the task in charge as if its process had ended: without a last checkpoint."""
    task = ran.tasks.pop(0, None)
    if task is not None:
        task._settled = False  # noqa: SLF001 - which a crash does not ask for
        await task.close()


async def test_after_a_crash_only_the_tail_is_read(stores: RocksStores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_state, "CHECKPOINT_S", 1000.0)
    monkeypatch.setattr(task_state, "CHECKPOINT_RECORDS", 1)
    ran = watched(stores)
    await add(ran, 3)
    monkeypatch.setattr(task_state, "CHECKPOINT_RECORDS", 1000)
    await add(ran, 2)
    await crash(ran)
    await add(ran)
    assert restored() == [4, 5]
    assert totals(ran) == [1, 2, 3, 4, 5, 6]


async def test_while_a_zombie_has_the_store_another_one_is_begun(stores: RocksStores) -> None:
    ran = watched(stores)
    await add(ran, 3)
    zombie = await ran.restart(0)
    assert zombie is not None
    assert restored() == [1, 2, 3]
    await zombie.close()
    await ran.stop(0)
    await add(ran)
    assert totals(ran) == [1, 2, 3, 4]


async def test_without_stores_every_start_reads_the_tables_whole() -> None:
    ran = watched(None)
    await add(ran, 3)
    await ran.stop(0)
    await add(ran)
    assert restored() == [1, 2, 3]


async def test_what_was_not_committed_is_never_in_a_checkpoint(stores: RocksStores) -> None:
    ran = driver(stores=stores)
    await add(ran, 2)
    ran.log.faults.fail_delivery(TOTALS)
    ran.send(ADDS, ONE)
    await ran.run()
    await ran.stop(0)
    await add(ran)
    assert totals(ran) == [1, 2, 3, 4]


async def test_what_was_committed_without_its_answer_coming_counts_once(stores: RocksStores) -> None:
    ran = driver(stores=stores)
    await add(ran, 2)
    ran.log.faults.fail_after_commit()
    await add(ran)
    await ran.stop(0)
    await add(ran)
    assert totals(ran) == [1, 2, 3, 4]


async def test_timers_in_a_checkpoint_still_go_off(stores: RocksStores) -> None:
    ran = driver(stores=stores)
    await add(ran, for_ms=1000)
    await ran.stop(0)
    ran.advance(1000)
    await ran.tick()
    assert totals(ran) == [1, 0]


async def stopped_after(ran: AgentDriver, times: int) -> None:
    await add(ran, times)
    await ran.stop(0)


async def test_an_old_checkpoint_is_discarded_since_deleted_rows_would_come_back(
    stores: RocksStores, caplog: pytest.LogCaptureFixture
) -> None:
    ran = watched(stores)
    await stopped_after(ran, 2)
    ran.advance(DAY_MS)
    await add(ran)
    assert "h old" in caplog.text
    assert restored() == [1, 2]
    assert totals(ran) == [1, 2, 3]


async def test_a_checkpoint_of_another_version_is_discarded(
    stores: RocksStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = driver(stores=stores)
    await stopped_after(ran, 2)
    ran._agent = WATCHED  # noqa: SLF001 - a later release on the same log
    monkeypatch.setattr(task_state, "CHECKPOINT_VERSION", 2)
    await add(ran)
    assert restored() == [1, 2]


async def test_a_checkpoint_beyond_the_end_of_the_log_is_discarded(stores: RocksStores, tmp_path: Path) -> None:
    """As after an unclean election, or with the folder of another cluster that has the same id."""
    ran = watched(stores)
    await stopped_after(ran, 5)
    other = watched(RocksStores(tmp_path, memory_bytes=64_000_000))
    other.log.cluster = ran.log.cluster  # type: ignore[method-assign] # two logs that take each other for the same
    await stopped_after(other, 1)
    await add(other)
    assert totals(other) == [1, 2]


async def test_a_checkpoint_of_another_cluster_is_discarded(stores: RocksStores) -> None:
    await stopped_after(driver(stores=stores), 5)
    other = driver(stores=stores)
    await add(other)
    assert totals(other) == [1]


async def test_a_checkpoint_of_nothing_is_no_state_that_would_need_a_position(stores: RocksStores) -> None:
    ran = driver(stores=stores)
    await ran.run()
    await ran.stop(0)
    await add(ran)
    assert totals(ran) == [1]


async def test_state_without_a_checkpoint_of_every_table_is_restored_from_the_log(stores: RocksStores) -> None:
    ran = driver(stores=stores)
    await stopped_after(ran, 2)
    store: RocksStore = stores.open("counter", 0)
    assert store.checkpoint is not None
    assert set(store.checkpoint.positions) == {SUMS, TIMERS}, "one that was never written is known to be empty"


@pytest.mark.parametrize("error", [FreeDisk("no room"), WaitForDisk("behind")])
async def test_a_disk_that_takes_nothing_stops_nobody(
    error: FreeDisk, stores: RocksStores, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(task_state, "RETRY_S", 0.0)
    monkeypatch.setattr(task_state, "CHECKPOINT_RECORDS", 1)
    caplog.set_level(logging.INFO)
    ran = driver(stores=stores)
    await add(ran)
    with monkeypatch.context() as full:

        def refuse(*_: object) -> None:
            raise error

        full.setattr("shieldx.rocksdb.store.RocksStore.write", refuse)
        await add(ran, 3)
    await add(ran)
    await ran.stop(0)
    await add(ran)
    assert totals(ran) == [1, 2, 3, 4, 5, 6]
    assert ("checkpoints are postponed" in caplog.text) == (type(error) is FreeDisk)
    assert ("checkpoints succeed again" in caplog.text) == (type(error) is FreeDisk)


async def test_without_room_for_a_store_a_task_works_in_memory(
    stores: RocksStores, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise FreeDisk("no room")

    ran = driver(stores=stores)
    await stopped_after(ran, 2)
    with monkeypatch.context() as full:
        full.setattr("shieldx.rocksdb.store.RocksStores.open", refuse)
        await stopped_after(ran, 2)
    await add(ran)
    assert totals(ran) == [1, 2, 3, 4, 5]
    assert "in memory only" in caplog.text


WANTED = Checkpoint(version=1, format_level=1, cluster="c", partitions=2, positions={}, as_of_ms=10 * DAY_MS)


@pytest.mark.parametrize(
    ("changed", "position", "reason"),
    [
        ({}, 5, None),
        ({}, 2, None),
        ({}, 9, None),
        ({}, 1, "not within"),
        ({}, 10, "not within"),
        ({"positions": {}}, 5, "not within"),
        ({"version": 0}, 5, "belongs to another release"),
        ({"cluster": "d"}, 5, "belongs to another release"),
        ({"partitions": 3}, 5, "belongs to another release"),
        ({"format_level": 2}, 5, "of level 2, the partition is at level 1"),
        ({"as_of_ms": 9 * DAY_MS + 3_600_000}, 5, None),
        ({"as_of_ms": 9 * DAY_MS + 3_599_999}, 5, "h old"),
        ({"as_of_ms": 10 * DAY_MS + 3_600_001}, 5, "in the future"),
    ],
)
def test_a_checkpoint_is_refused_for_a_reason(changed: dict[str, Any], position: int, reason: str | None) -> None:
    found = msgspec.structs.replace(WANTED, positions={SUMS: position})
    found = msgspec.structs.replace(found, **changed)
    given = refusal(found, WANTED, {TABLE: (2, 9)}, delete_retention_ms=DAY_MS)
    assert (given is None) if reason is None else (given is not None and reason in given)


@given(st.lists(st.sampled_from(["add", "hold", "wait", "stop", "crash", "fail", "lose"]), max_size=30))
@settings(max_examples=length(short=8, soak=300), deadline=None)
async def test_whatever_happens_the_sums_are_as_without_checkpoints(steps: list[str]) -> None:
    with TemporaryDirectory() as folder:
        ran = driver(stores=RocksStores(Path(folder), memory_bytes=64_000_000))
        plain = driver()
        for step in steps:
            for each in (ran, plain):
                await do(each, step)
        for each in (ran, plain):
            each.advance(10_000)
            await add(each)
            await each.tick()
        assert totals(ran) == totals(plain)
        await ran.stop(0)


async def do(ran: AgentDriver, step: str) -> None:
    if step == "hold":
        await add(ran, for_ms=1500)
    elif step == "wait":
        ran.advance(1000)
    elif step == "stop":
        await ran.stop(0)
    elif step == "crash":
        await crash(ran)
    else:
        if step == "fail":
            ran.log.faults.fail_delivery(TOTALS)
        elif step == "lose":
            ran.log.faults.fail_after_commit()
        await add(ran)


async def test_a_checkpoint_made_while_tables_are_read_is_as_old_as_the_reading(
    stores: RocksStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tombstone that is not read yet may be compacted away before it is."""
    monkeypatch.setattr(task_state, "RESTORED_BYTES", 1)
    ran = driver(stores=stores)
    await add(ran, 3, for_ms=1_000_000)  # two tables are read one after the other
    await ran.stop(0)
    stores.open("counter", 0).clear()
    began_ms, checkpoints = ran.now_ms, []
    write = RocksStore.write

    def note(store: RocksStore, batch: Any, checkpoint: Checkpoint) -> None:
        checkpoints.append(checkpoint.as_of_ms - began_ms)
        ran.advance(10)  # reading takes its time
        write(store, batch, checkpoint)

    monkeypatch.setattr(RocksStore, "write", note)
    await add(ran)
    await ran.stop(0)
    assert checkpoints[:2] == [0, 0]
    assert checkpoints[-1] > 0
