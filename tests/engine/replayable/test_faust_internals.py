"""What faust does by itself, and what it does here.

Tests named after faust fail when faust has mended something: then look whether
shieldx/engine/replayable/faust_internals.py may become smaller. Every other test fails without one of its overrides.
"""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import faust
import pytest
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import CommitFailedError, GroupAuthorizationFailedError
from faust.tables.recovery import RebalanceAgain, ServiceStopped
from faust.types import TP
from mode.threads import WorkerThread

from shieldx.engine.kafka.aiokafka_internals import FetchPosition, GroupConsumer
from shieldx.engine.replayable import faust_internals
from shieldx.engine.replayable.faust_app import make_app
from shieldx.engine.replayable.offset_tracker import OffsetTrackers
from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import FixConfiguration
from tests import programs
from tests.private_names import overrides_without_mark, used_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

    from shieldx.engine.tasks.log import Record

# ruff: noqa: SLF001 - facts about faust are what this file is about

IN, ALSO_IN = TP("in", 0), TP("in", 1)
HERE = TopicPartition("in", 0)
OPTIONS = {"bootstrap_servers": "127.0.0.1:1", "group_id": "g", "session_timeout_ms": 10_000}


@pytest.fixture
async def stock() -> Any:
    """The consumer of an app as faust makes it, not started."""
    return faust.App("stock", broker="kafka://127.0.0.1:1", store="memory://").consumer


async def never(record: Record) -> None:
    raise AssertionError(record)


def app_of(progress: OffsetTrackers) -> Any:
    """Ours, of no type: faust's properties are declared as protocols, which lack what is looked at here."""
    return make_app("g", ["in"], OPTIONS, progress, never, {})


@pytest.fixture
async def ours() -> Any:
    """The consumer of our app, not started, which has been told to begin a partition at offset 10."""
    progress = OffsetTrackers()
    progress.begin(HERE, 10)
    return app_of(progress).consumer


def record_at(offset: int) -> Any:
    return SimpleNamespace(
        topic="in",
        partition=0,
        offset=offset,
        timestamp=0,
        timestamp_type=1,
        headers=(),
        key=None,
        value=None,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
    )


# Names


OURS = {
    "_Boot",
    "_NothingRead",
    "_Recovery",
    "_Settings",
    "_Tables",
    "_Transport",
    "_check_group",
    "_lag",
    "_metadata_of",
    "_rebalance",
}
OWNERS: dict[str, Callable[[Any], Any]] = {
    "_buffered_partitions": lambda consumer: consumer,
    "_commit": lambda consumer: consumer,
    "_committed_offset": lambda consumer: consumer,
    "_consumer": lambda consumer: consumer._thread,
    "_ensure_consumer": lambda consumer: consumer._thread,
    "_read_offset": lambda consumer: consumer,
    "_recovery": lambda consumer: consumer.app.tables,
    "_thread": lambda consumer: consumer,
    "_to_message": lambda consumer: consumer,
    "_wait": lambda consumer: consumer.app.tables.recovery,
    "call_thread": lambda consumer: consumer._thread,
    "rebalancing_count": lambda consumer: consumer.app,
}


@pytest.mark.parametrize("name", OWNERS)
async def test_faust_has_the_name(stock: Any, name: str) -> None:
    assert hasattr(OWNERS[name](stock), name)


def test_no_other_name_is_used() -> None:
    assert used_in(faust_internals) - OURS <= OWNERS.keys()


CLASSES = [
    value
    for value in vars(faust_internals).values()
    if isinstance(value, type) and value.__module__ == faust_internals.__name__
]


@pytest.mark.parametrize("kind", CLASSES)
def test_what_overrides_is_marked(kind: type) -> None:
    assert overrides_without_mark(kind) == set()


# The app


async def test_an_app_takes_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSING_GUARANTEE", "exactly_once")
    monkeypatch.setenv("APP_DATADIR", "/nowhere")
    stock: Any = faust.App("stock", broker="kafka://")
    assert stock.conf.processing_guarantee.value == "exactly_once"
    conf = app_of(OffsetTrackers()).conf
    assert conf.processing_guarantee.value == "at_least_once"
    assert "nowhere" not in str(conf.datadir)


async def test_an_app_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await app_of(OffsetTrackers()).on_first_start()
    assert not (tmp_path / "g-data").exists()
    await faust.App("stock", broker="kafka://").on_first_start()
    assert (tmp_path / "stock-data").exists()


async def test_an_app_starts_neither_a_producer_nor_a_web_server() -> None:
    app = app_of(OffsetTrackers())
    started = list(app.boot_strategy.server())
    assert app.consumer in started
    assert app.producer not in started
    assert app.web not in started


async def test_what_faust_says_of_our_parts_is_not_in_our_name(ours: Any) -> None:
    """A worker shows what `shieldx` logs from INFO on, and of libraries warnings only."""
    app = ours.app
    for part in (app, ours, ours._thread, app.tables, app.tables.recovery):
        assert part.logger is logging.getLogger("faust")


# The thread of the consumer


async def test_the_thread_of_the_consumer_does_not_keep_a_process_alive(stock: Any, ours: Any) -> None:
    assert not stock._thread.Worker(stock._thread).daemon
    assert isinstance(ours._thread.Worker(ours._thread), WorkerThread)
    assert ours._thread.Worker(ours._thread).daemon


async def test_faust_reads_what_is_not_committed(stock: Any) -> None:
    assert stock._thread._create_consumer(stock.loop)._isolation_level == "read_uncommitted"


async def test_here_a_consumer_is_a_member_that_reads_what_is_committed(ours: Any) -> None:
    made = ours._thread._create_consumer(ours.loop)
    assert type(made) is GroupConsumer
    assert made._isolation_level == "read_committed"
    assert made._group_id == "g"
    assert made._max_poll_interval_ms == faust_internals.NEVER_MS


class Seeking:
    """A consumer whose group has committed an offset of one partition."""

    def __init__(self) -> None:
        self.to_beginning: list[KafkaTopicPartition] = []

    async def seek_to_committed(self) -> dict[KafkaTopicPartition, int | None]:
        return {KafkaTopicPartition(*IN): 7, KafkaTopicPartition(*ALSO_IN): None}

    async def seek_to_beginning(self, *partitions: KafkaTopicPartition) -> None:
        self.to_beginning += partitions


async def sought_to_beginning(consumer: Any, monkeypatch: pytest.MonkeyPatch) -> list[KafkaTopicPartition]:
    async def call(method: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return await method(*args)

    monkeypatch.setattr(consumer._thread, "call_thread", call)
    consumer._thread._consumer = Seeking()
    assert set((await consumer.seek_to_committed()).values()) == {7, None}
    return list(consumer._thread._consumer.to_beginning)


async def test_faust_leaves_a_partition_without_a_committed_offset_where_it_is(
    stock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await sought_to_beginning(stock, monkeypatch) == []


async def test_here_a_partition_without_a_committed_offset_is_sought_to_its_beginning(
    ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await sought_to_beginning(ours, monkeypatch) == [KafkaTopicPartition(*ALSO_IN)]


class Refusing:
    """A consumer whose commits fail with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def assignment(self) -> set[KafkaTopicPartition]:
        return {KafkaTopicPartition(*IN)}

    async def commit(self, _: object) -> None:
        raise self.error


def crashes(thread: AIOKafkaConsumerThread, monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What the thread ends its app with."""
    found: list[BaseException] = []

    async def crash(error: BaseException) -> None:
        found.append(error)

    monkeypatch.setattr(thread, "crash", crash)
    return found


async def test_faust_ends_its_app_when_a_commit_is_refused(stock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed = crashes(stock._thread, monkeypatch)
    stock._thread._consumer = Refusing(CommitFailedError())
    assert not await stock._thread._commit({IN: 11})
    assert crashed


async def test_here_a_commit_that_is_refused_is_logged(
    ours: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    crashed = crashes(ours._thread, monkeypatch)
    ours._thread._consumer = Refusing(CommitFailedError())
    assert not await ours._thread._commit({IN: 11})
    assert crashed == []
    assert "offsets were not committed and will be retried" in caplog.text


async def test_here_a_commit_for_which_an_acl_is_missing_ends_the_app(
    ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed = crashes(ours._thread, monkeypatch)
    ours._thread._consumer = Refusing(GroupAuthorizationFailedError("g"))
    assert not await ours._thread._commit({IN: 11})
    assert [type(error) for error in crashed] == [FixConfiguration]


async def test_a_thread_that_fails_is_logged_rather_than_printed(
    ours: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise KeyError("the cause")  # noqa: TRY301 - it has to be handled while it is logged
    except KeyError as error:
        ours._thread.on_crash("{0!r} crashed: {1!r}", "the thread", error)
    assert "'the thread' crashed" in caplog.text
    assert "the cause" in caplog.text
    assert capsys.readouterr() == ("", "")


# The consumer


async def taken_after_seek(consumer: Any, monkeypatch: pytest.MonkeyPatch, *offsets: int) -> list[int]:
    """Which records a consumer hands on that has sought to offset 10."""
    taken: list[int] = []

    async def seek_to_committed() -> dict[TP, int]:
        return {IN: 10}

    async def getmany(*, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ARG001, ASYNC109 - faust's signature
        for offset in offsets:
            yield IN, consumer._to_message(IN, record_at(offset))
        consumer.app._fetcher._stopped.set()

    async def take(message: Any) -> None:
        taken.append(message.offset)

    monkeypatch.setattr(consumer, "seek_to_committed", seek_to_committed)
    monkeypatch.setattr(consumer, "assignment", lambda: {IN})
    monkeypatch.setattr(consumer, "getmany", getmany)
    monkeypatch.setattr(consumer, "callback", take)
    consumer.app.topics._acking_topics = {"in"}
    await consumer.perform_seek()
    await consumer._drain_messages(consumer.app._fetcher)
    return taken


async def test_faust_drops_records_below_an_offset_it_has_read(stock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await taken_after_seek(stock, monkeypatch, 5, 20, 30) == [20, 30]
    assert stock._gap[IN], "and keeps the offsets that never come"


async def test_here_all_that_comes_is_taken(ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await taken_after_seek(ours, monkeypatch, 5, 20, 30) == [5, 20, 30]
    assert not ours._gap, "offsets that never come are not kept"


async def test_faust_commits_past_the_record_behind_the_committed_offset(stock: Any) -> None:
    stock._committed_offset[IN] = 10  # 10 is next, and being worked on
    stock._acked[IN] = [11, 12]
    assert stock._new_offset(IN) == 13


async def test_faust_takes_a_commit_that_failed_for_one_that_did_not(
    stock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> bool:
        return False

    monkeypatch.setattr(stock, "_commit", fail)
    monkeypatch.setattr(stock, "assignment", lambda: {IN})
    await stock._commit_offsets({IN: 13})
    assert not stock._should_commit(IN, 13)  # it never says 13 again


async def test_here_a_commit_that_failed_is_tried_again(ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[TP, int]] = []

    async def commit(offsets: dict[TP, int]) -> bool:
        told.append(offsets)
        return len(told) > 1

    monkeypatch.setattr(ours, "_commit", commit)
    partition = ours.progress.partitions[HERE]
    partition.take(10)
    await ours.commit()
    partition.done(10)
    for _ in range(3):
        await ours.commit()
    assert told == [{IN: 11}, {IN: 11}]


async def test_a_seek_begins_the_partitions_where_the_group_says(ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def seek_to_committed() -> dict[TP, int | None]:
        return {IN: 7, ALSO_IN: None}

    monkeypatch.setattr(ours, "seek_to_committed", seek_to_committed)
    monkeypatch.setattr(ours, "assignment", lambda: {IN, ALSO_IN})
    ours.fetched[HERE] = 20
    await ours.perform_seek()
    assert {tp: each.committed for tp, each in ours.progress.partitions.items()} == {
        HERE: 7,
        TopicPartition("in", 1): None,
    }
    assert ours.fetched == {}


async def test_what_is_done_is_committed_before_partitions_are_revoked(
    ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    did: list[object] = []

    async def commit(offsets: dict[TP, int]) -> bool:
        did.append(offsets)
        return True

    async def revoke(revoked: set[TP]) -> None:
        did.append(revoked)

    monkeypatch.setattr(ours, "_commit", commit)
    monkeypatch.setattr(ours, "_on_partitions_revoked", revoke)
    ours.progress.partitions[HERE].take(10)
    ours.progress.partitions[HERE].done(10)
    await ours.on_partitions_revoked({IN})
    assert did == [{IN: 11}, {IN}]


async def test_what_others_are_assigned_is_let_go_of(ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def assign(*_: object) -> None:
        """What faust does next has tests of its own."""

    monkeypatch.setattr(ours, "_on_partitions_assigned", assign)
    gone = ours.progress.partitions[HERE].gone
    ours._buffered_partitions.add(IN)
    ours.app.on_rebalance_start()
    await ours.on_partitions_assigned({ALSO_IN})
    assert gone.is_set()
    assert not ours.progress.partitions
    assert not ours._buffered_partitions


class At:
    """A consumer that has fetched up to an offset."""

    def __init__(self, position: FetchPosition | None) -> None:
        self.position = position

    def fetch_position(self, _: KafkaTopicPartition) -> FetchPosition | None:
        return self.position


async def test_lag_counts_what_is_not_done_and_no_markers(ours: Any) -> None:
    assert ours.lags() == {}, "the thread has not started"
    ours._thread._consumer = At(None)
    assert ours.lags() == {}
    ours._thread._consumer = At(FetchPosition(12, 20, 20))
    assert ours.lags() == {}, "nothing has been taken"
    partition = ours.progress.partitions[HERE]
    for offset in (10, 11):
        ours._to_message(IN, record_at(offset))
        partition.take(offset)
    assert ours.lags() == {HERE: 10}
    partition.done(10)
    partition.done(11)
    assert ours.lags() == {HERE: 8}
    ours._thread._consumer = At(FetchPosition(20, 20, 23))
    assert ours.lags() == {HERE: 3}, "of an open transaction"
    ours._thread._consumer = At(FetchPosition(20, 20, 20))
    assert ours.lags() == {HERE: 0}, "only markers are behind 11"
    ours._to_message(IN, record_at(12))
    assert ours.lags() == {HERE: 8}, "12 is handed on, and not taken yet"


# The streams after a rebalance


async def resume_while_partitions_are_revoked(consumer: Any, monkeypatch: pytest.MonkeyPatch, *, revoked: bool) -> None:
    """Have faust resume its streams, and another rebalance begin while it waits for the committed offsets."""
    app = consumer.app
    recovery = app.tables.recovery

    async def seek() -> None:
        await asyncio.sleep(0)
        if revoked:
            app.on_rebalance_start()
            await app._on_partitions_revoked({IN})

    monkeypatch.setattr(consumer, "assignment", lambda: {IN})
    monkeypatch.setattr(consumer, "perform_seek", seek)
    app._fetcher._started.set()  # it would fetch from a broker
    app.on_rebalance_start()
    consumer.stop_flow()
    app.flow_control.suspend()
    app.consumer_generation_id = 1
    await recovery.on_rebalance({IN}, set(), {IN}, 1)
    recovery.signal_recovery_start.clear()  # as the resumed task does
    await recovery._resume_streams(1)


def is_flowing(consumer: Any) -> bool:
    return bool(consumer.flow_active) and bool(consumer.app.flow_control.is_active())


async def test_faust_resumes_partitions_that_were_revoked_while_it_sought(
    stock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await resume_while_partitions_are_revoked(stock, monkeypatch, revoked=True)
    assert is_flowing(stock)
    assert not stock.app.rebalancing, "and takes the rebalance for one that has ended"


async def test_here_partitions_that_were_revoked_meanwhile_stay_suspended(
    ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RebalanceAgain):
        await resume_while_partitions_are_revoked(ours, monkeypatch, revoked=True)
    assert not is_flowing(ours)
    assert ours.app.rebalancing


async def test_here_partitions_that_are_still_assigned_are_resumed(ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await resume_while_partitions_are_revoked(ours, monkeypatch, revoked=False)
    assert is_flowing(ours)
    assert not ours.app.rebalancing


async def test_faust_ends_its_recovery_for_good_when_offsets_are_not_told_in_time(stock: Any) -> None:
    recovery = stock.app.tables.recovery
    with pytest.raises(ServiceStopped):  # upon which its task ends, and nothing resumes any more
        await recovery._wait(asyncio.Event().wait(), timeout=0.01)
    assert not recovery.should_stop


async def test_here_offsets_that_are_not_told_in_time_are_a_failure(ours: Any) -> None:
    recovery = ours.app.tables.recovery
    with pytest.raises(TimeoutError, match="committed offsets"):
        await recovery._wait(asyncio.Event().wait(), timeout=0.01)
    recovery._stopped.set()
    with pytest.raises(ServiceStopped):
        await recovery._wait(asyncio.Event().wait(), timeout=0.01)


# Imports


def test_faust_is_imported_only_where_a_replayable_agent_runs(tmp_path: Path) -> None:
    program = "import sys, shieldx.bootstrap.workers, shieldx.cli.running_workers; sys.exit('faust' in sys.modules)"
    ended = programs.run_python(program, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
