"""The life of a broker: started, stopped, killed and frozen, it keeps its data and address."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shieldx.dev.broker import KafkaBroker
from shieldx.dev.file_lock import StopTheOtherProcess
from tests.dev.kafka_round_trip import make_topic, read_all, write

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broker")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker(folder: Path, cache: Path, java: Path | None) -> AsyncIterator[KafkaBroker]:
    broker = KafkaBroker(folder, cache=cache, java=java)
    await broker.start()
    yield broker
    await broker.stop()


async def test_a_topic_can_be_made_and_used_the_moment_start_returns(broker: KafkaBroker) -> None:
    await make_topic(broker.bootstrap, "first")
    await write(broker.bootstrap, "first", b"one")
    assert await read_all(broker.bootstrap, "first") == [b"one"]


async def test_an_orderly_restart_keeps_data_and_address(broker: KafkaBroker) -> None:
    await make_topic(broker.bootstrap, "restart")
    await write(broker.bootstrap, "restart", b"before")
    address, pid = broker.bootstrap, broker.pid
    await broker.stop()
    assert broker.pid is None
    await broker.start()
    assert broker.bootstrap == address
    assert broker.pid != pid
    assert await read_all(address, "restart") == [b"before"]


async def test_a_killed_broker_recovers_its_data(broker: KafkaBroker) -> None:
    await make_topic(broker.bootstrap, "kill")
    await write(broker.bootstrap, "kill", b"before")
    address, pid = broker.bootstrap, broker.pid
    assert pid is not None
    await broker.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await broker.start()
    await write(address, "kill", b"after")
    assert await read_all(address, "kill") == [b"before", b"after"]


async def test_a_frozen_broker_answers_nothing_until_thawed(broker: KafkaBroker) -> None:
    await make_topic(broker.bootstrap, "freeze")
    await broker.freeze()
    writing = asyncio.create_task(write(broker.bootstrap, "freeze", b"late"))
    done, _ = await asyncio.wait({writing}, timeout=0.3)
    await broker.thaw()
    assert not done
    await writing
    assert await read_all(broker.bootstrap, "freeze") == [b"late"]


async def test_starting_a_running_broker_changes_nothing(broker: KafkaBroker) -> None:
    pid = broker.pid
    await broker.start()
    assert broker.pid == pid


async def test_a_second_broker_in_the_folder_is_refused(broker: KafkaBroker, folder: Path, cache: Path) -> None:
    with pytest.raises(StopTheOtherProcess, match=f"process {os.getpid()}"):
        await KafkaBroker(folder, cache=cache).start()
    assert broker.pid is not None


async def test_a_terminals_ctrl_c_does_not_reach_the_broker(broker: KafkaBroker) -> None:
    assert broker.pid is not None
    assert os.getpgid(broker.pid) != os.getpgid(0)


async def test_its_log_is_kept_in_the_folder(broker: KafkaBroker, folder: Path) -> None:
    assert broker.pid is not None
    assert "Kafka Server started" in (folder / "kafka" / "log" / "server.log").read_text()
