"""What faust does by itself, and what it does here. The first tests fail when faust has mended something: then look
whether shieldx/engine/replayable/faust_transport.py may become smaller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import faust
import pytest
from faust.types import TP

from shieldx.engine.replayable.faust_app import make_app
from shieldx.engine.replayable.offset_tracker import OffsetTrackers
from shieldx.engine.tasks.log import TopicPartition
from tests import programs

if TYPE_CHECKING:
    from pathlib import Path

    from faust.transport.drivers.aiokafka import Consumer

    from shieldx.engine.replayable.faust_app import ReplayableApp, TakenRecord
    from shieldx.engine.replayable.faust_transport import CommittedConsumer

IN = TP("in", 0)
OPTIONS = {"bootstrap_servers": "127.0.0.1:1", "group_id": "g", "session_timeout_ms": 10_000}


@pytest.fixture
def stock() -> Consumer:
    """The consumer of an app as faust makes it, not started."""
    return cast("Consumer", faust.App("stock", broker="kafka://127.0.0.1:1", store="memory://").consumer)


async def never(record: TakenRecord) -> None:
    raise AssertionError(record)


def app_of(progress: OffsetTrackers) -> ReplayableApp:
    return make_app("g", ["in"], OPTIONS, progress, never)


@pytest.fixture
def ours() -> CommittedConsumer:
    progress = OffsetTrackers()
    progress.begin(TopicPartition("in", 0), 10)
    return cast("CommittedConsumer", app_of(progress).consumer)


async def test_faust_reads_what_is_not_committed(stock: Consumer) -> None:
    assert stock._thread._create_consumer(stock.loop)._isolation_level == "read_uncommitted"  # noqa: SLF001 - a fact about faust


async def test_faust_commits_past_the_record_behind_the_committed_offset(stock: Consumer) -> None:
    stock._committed_offset[IN] = 10  # noqa: SLF001 - 10 is next, and being worked on
    stock._acked[IN] = [11, 12]  # noqa: SLF001
    assert stock._new_offset(IN) == 13  # noqa: SLF001


async def test_faust_takes_a_commit_that_failed_for_one_that_did_not(
    stock: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> bool:
        return False

    monkeypatch.setattr(stock, "_commit", fail)
    monkeypatch.setattr(stock, "assignment", lambda: {IN})
    await stock._commit_offsets({IN: 13})  # noqa: SLF001
    assert not stock._should_commit(IN, 13)  # noqa: SLF001 - it never says 13 again


async def test_here_a_commit_that_failed_is_tried_again(
    ours: CommittedConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[TP, int]] = []

    async def commit(offsets: dict[TP, int]) -> bool:
        told.append(offsets)
        return len(told) > 1

    monkeypatch.setattr(ours, "_commit", commit)
    partition = ours.progress.partitions[TopicPartition("in", 0)]
    partition.take(10)
    await ours.commit()
    partition.done(10)
    for _ in range(3):
        await ours.commit()
    assert told == [{IN: 11}, {IN: 11}]


async def test_an_app_takes_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSING_GUARANTEE", "exactly_once")
    monkeypatch.setenv("APP_DATADIR", "/nowhere")
    stock: Any = faust.App("stock", broker="kafka://").conf
    assert stock.processing_guarantee.value == "exactly_once"
    conf: Any = app_of(OffsetTrackers()).conf
    assert conf.processing_guarantee.value == "at_least_once"
    assert "nowhere" not in str(conf.datadir)


def test_faust_is_imported_only_where_a_replayable_agent_runs(tmp_path: Path) -> None:
    program = "import sys, shieldx.bootstrap, shieldx.cli.running_workers; sys.exit('faust' in sys.modules)"
    ended = programs.run_python(program, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
