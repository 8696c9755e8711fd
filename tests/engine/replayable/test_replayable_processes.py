"""Workers of a replayable agent as processes: killed, frozen, stopped, and without a broker."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from signal import SIGCONT, SIGSTOP, SIGTERM
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from shieldx.dev.broker import KafkaBroker
from tests import programs
from tests.engine.echo_agent import PARTITIONS, Ask
from tests.engine.echo_platform import SESSION_S, EchoPlatform, new_platform, number_of
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.integration

MANY = 399


@pytest_asyncio.fixture
async def echoing(kafka: str, tmp_path: Path) -> AsyncIterator[EchoPlatform]:
    async with new_platform(kafka, tmp_path, processes=2) as found:
        yield found


class Process:
    """One `shieldx worker`, and what it logged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.logged = ""
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.logged += line.decode()

    async def until_logged(self, text: str) -> None:
        await until(lambda: text in self.logged or self.process.returncode is not None)
        assert text in self.logged, self.logged

    async def end(self) -> int:
        status = await self.process.wait()
        await self._reading
        return status


@asynccontextmanager
async def worker(echoing: EchoPlatform) -> AsyncIterator[Process]:
    """A worker that is ready."""
    environment = dict(os.environ) | echoing.environment
    process = Process(
        await programs.start_awaitable(
            [sys.executable, "-m", "shieldx", "worker", echoing.names.agent],
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    )
    try:
        await process.until_logged('"ready"')
        yield process
    finally:
        if process.process.returncode is None:
            process.process.kill()
        await process.end()


async def test_one_of_two_workers_is_killed_and_every_record_is_answered(echoing: EchoPlatform) -> None:
    async with worker(echoing) as killed, worker(echoing):
        await echoing.send(*(Ask(number=number, after_ms=20) for number in range(MANY)))
        await echoing.echoes(range(20))
        killed.process.kill()
        records = await echoing.echoes(range(MANY))
        await echoing.until_committed(dict.fromkeys(range(PARTITIONS), MANY // PARTITIONS))
    assert {number_of(record) for record in records} == set(range(MANY))


async def test_a_worker_that_was_frozen_past_its_session_works_again_when_it_thaws(echoing: EchoPlatform) -> None:
    async with worker(echoing) as frozen, worker(echoing) as other:
        await echoing.send(*(Ask(number=number, after_ms=20) for number in range(MANY)))
        await echoing.echoes(range(20))
        frozen.process.send_signal(SIGSTOP)
        await echoing.echoes(range(MANY))
        frozen.process.send_signal(SIGCONT)
        await echoing.send(*(Ask(number=number) for number in range(MANY, 2 * MANY)))
        await echoing.echoes(range(2 * MANY))
        await echoing.until_committed(dict.fromkeys(range(PARTITIONS), 2 * MANY // PARTITIONS))
        other.process.kill()
        await echoing.send(*(Ask(number=number) for number in range(2 * MANY, 3 * MANY)))
        await echoing.echoes(range(3 * MANY))
        await echoing.until_committed(dict.fromkeys(range(PARTITIONS), 3 * MANY // PARTITIONS))


async def test_a_worker_that_is_told_to_stop_ends_with_0_and_leaves_its_group_at_once(echoing: EchoPlatform) -> None:
    await echoing.send(*(Ask(number=number, after_ms=20) for number in range(MANY)))
    async with worker(echoing) as stopped:
        await echoing.echoes(range(20))
        stopped.process.send_signal(SIGTERM)
        assert await stopped.end() == 0
        assert "Traceback" not in stopped.logged
    answered = sum((await echoing.committed()).values())
    assert 0 < answered < MANY
    async with worker(echoing):
        records = await echoing.echoes(range(MANY))
    assert len(records) == MANY, "in order, nothing is repeated"


async def test_a_worker_goes_on_when_its_broker_comes_back(tmp_path: Path) -> None:
    """The broker freezes for longer than a session, then dies and comes back at the same address."""
    broker = KafkaBroker(tmp_path / "broker")
    await broker.start()
    (tmp_path / "home").mkdir()
    try:
        async with new_platform(broker.bootstrap, tmp_path / "home") as echoing, worker(echoing) as survivor:
            await echoing.send(*(Ask(number=number) for number in range(MANY)))
            await echoing.echoes(range(MANY))
            await broker.freeze()
            await asyncio.sleep(2 * SESSION_S)
            await broker.thaw()
            await echoing.send(*(Ask(number=number) for number in range(MANY, 2 * MANY)))
            await echoing.echoes(range(2 * MANY))
            await broker.kill()
            await broker.start()
            await echoing.send(*(Ask(number=number) for number in range(2 * MANY, 3 * MANY)))
            await echoing.echoes(range(3 * MANY))
            await echoing.until_committed(dict.fromkeys(range(PARTITIONS), 3 * MANY // PARTITIONS))
            survivor.process.send_signal(SIGTERM)
            assert await survivor.end() == 0
    finally:
        await broker.kill()


async def test_a_worker_ends_although_its_broker_is_frozen(tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path / "broker")
    await broker.start()
    (tmp_path / "home").mkdir()
    try:
        async with new_platform(broker.bootstrap, tmp_path / "home") as echoing, worker(echoing) as ending:
            await broker.freeze()
            ending.process.send_signal(SIGTERM)
            async with asyncio.timeout(60):
                assert await ending.end() == 0
    finally:
        await broker.thaw()
        await broker.kill()
