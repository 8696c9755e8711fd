"""Children die with their parent, and remains of killed parents are cleaned up."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from shieldx.dev.broker import KafkaBroker
from shieldx.dev.child_process import end_leftover, kill_child, start_child, stop_child
from tests import programs

Child: TypeAlias = subprocess.Popen[bytes]  # noqa: TID251 - a type only

_COMMAND_END = "kafka.Kafka /some/server.properties"
_needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel ties the two only on Linux")


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Child]:
    """Give a process whose command line ends as a broker's does."""
    command = [sys.executable, "-c", "import signal; signal.pause()", *_COMMAND_END.split()]
    child = start_child(command, folder=tmp_path, output=tmp_path / "output")
    _await_command_line(child.pid, "kafka.Kafka")
    yield child
    kill_child(child)


async def test_a_leftover_is_killed(sleeper: Child, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(f"{sleeper.pid}\n")
    assert await end_leftover(tmp_path / "pid", command_end=_COMMAND_END) == sleeper.pid
    assert sleeper.wait(10) == -signal.SIGKILL


async def test_another_program_with_the_same_id_is_spared(sleeper: Child, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(f"{sleeper.pid}\n")
    assert await end_leftover(tmp_path / "pid", command_end="kafka.Kafka /another/server.properties") is None
    assert sleeper.poll() is None


@pytest.mark.parametrize("content", [None, "", "x", "999999999"])
async def test_no_leftover_is_no_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "pid").write_text(content)
    assert await end_leftover(tmp_path / "pid", command_end=_COMMAND_END) is None


async def test_a_frozen_child_is_stopped_in_order(sleeper: Child) -> None:
    sleeper.send_signal(signal.SIGSTOP)
    await stop_child(sleeper, timeout_s=10)
    assert sleeper.returncode == -signal.SIGTERM


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    program = "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    output = tmp_path / "output"
    child = start_child([sys.executable, "-c", program], folder=tmp_path, output=output)
    while not output.read_text():  # noqa: ASYNC110 - a file tells nobody that it was written
        await asyncio.sleep(0.01)
    await stop_child(child, timeout_s=0.1)
    assert child.returncode == -signal.SIGKILL


async def test_the_users_environment_does_not_reach_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx1m")
    child = start_child(["/usr/bin/env"], folder=tmp_path, output=tmp_path / "output")
    child.wait(10)
    assert (tmp_path / "output").read_text() == "LC_ALL=C.UTF-8\n"


@_needs_linux
@pytest.mark.integration
async def test_a_broker_dies_with_its_killed_parent_and_its_folder_can_be_used(
    tmp_path: Path, cache: Path, java: Path | None
) -> None:
    program = textwrap.dedent("""
        import asyncio, pathlib, sys
        from shieldx.dev.broker import KafkaBroker
        async def main():
            folder, cache, java = sys.argv[1:]
            java = pathlib.Path(java) if java else None
            broker = KafkaBroker(pathlib.Path(folder), cache=pathlib.Path(cache), java=java)
            await broker.start()
            print(broker.pid, flush=True)
            await asyncio.Event().wait()
        asyncio.run(main())
    """)
    command = [sys.executable, "-c", program, str(tmp_path), str(cache), str(java or "")]
    parent = await programs.start_awaitable(command, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    broker_pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    _await_end(broker_pid, timeout_s=10)
    broker = KafkaBroker(tmp_path, cache=cache, java=java)
    await broker.start()
    await broker.stop()


def _await_end(pid: int, *, timeout_s: float) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended, _, _ = select.select([descriptor], [], [], timeout_s)
    os.close(descriptor)
    assert ended, f"process {pid} outlived its parent"


def _await_command_line(pid: int, part: str) -> None:
    """Wait until the wrapper has become the program."""
    while "exec_with_parent" in (line := _command_line(pid)) or part not in line:
        pass


def _command_line(pid: int) -> str:
    listing = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    return programs.run(listing, check=True).stdout
