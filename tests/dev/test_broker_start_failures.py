"""A broker that cannot start reports the cause and leaves nothing behind."""

import socket
from pathlib import Path

import pytest

from shieldx.dev.broker import BrokerDidNotStart, KafkaBroker
from shieldx.dev.file_lock import FileLock
from shieldx.dev.loopback_ports import ChooseAnotherPort

pytestmark = pytest.mark.integration


async def test_the_log_of_a_refused_setting_is_quoted(tmp_path: Path, cache: Path, java: Path | None) -> None:
    broker = KafkaBroker(tmp_path, cache=cache, java=java, properties={"num.io.threads": "none"})
    with pytest.raises(BrokerDidNotStart) as caught:
        await broker.start()
    assert "Invalid value none for configuration num.io.threads" in str(caught.value)
    assert str(tmp_path / "kafka" / "log" / "server.log") in str(caught.value)
    assert "\tat " not in str(caught.value)
    assert broker.pid is None
    with FileLock(tmp_path / "kafka" / "lock"):
        pass


async def test_a_broker_that_does_not_answer_in_time_is_ended(tmp_path: Path, cache: Path, java: Path | None) -> None:
    broker = KafkaBroker(tmp_path, cache=cache, java=java)
    with pytest.raises(BrokerDidNotStart, match=r"did not respond within 0\.1 s"):
        await broker.start(timeout_s=0.1)
    assert broker.pid is None
    assert not _processes_naming(tmp_path)


async def test_a_taken_port_is_named(tmp_path: Path, cache: Path, java: Path | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        broker = KafkaBroker(tmp_path, cache=cache, java=java, port=port)
        with pytest.raises(ChooseAnotherPort, match=f"port {port} on 127.0.0.1"):
            await broker.start()
    assert broker.pid is None


async def test_the_address_is_not_a_setting(tmp_path: Path, cache: Path, java: Path | None) -> None:
    broker = KafkaBroker(tmp_path, cache=cache, java=java, properties={"listeners": "BROKER://0.0.0.0:9092"})
    with pytest.raises(ValueError, match="listeners"):
        await broker.start()


def test_there_is_no_address_before_the_first_start(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="first start"):
        _ = KafkaBroker(tmp_path).bootstrap


async def test_a_broker_that_is_not_running_cannot_be_frozen(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not running"):
        await KafkaBroker(tmp_path).freeze()


def _processes_naming(folder: Path) -> list[str]:
    lines = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline"))
    return [line.decode(errors="replace") for line in lines if str(folder).encode() in line]
