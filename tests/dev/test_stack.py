"""The whole stack: running inside its context, gone afterwards, and alone in its folder."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from shieldx.dev.file_lock import FileLock, StopTheOtherProcess
from shieldx.dev.loopback_ports import is_free
from shieldx.dev.stack import Stack
from tests import programs
from tests.dev.kafka_round_trip import make_topic, read_all, write

pytestmark = pytest.mark.integration


async def test_the_stack_is_up_inside_its_context_and_gone_after(
    tmp_path: Path, cache: Path, java: Path | None
) -> None:
    async with Stack(tmp_path, cache=cache, java=java) as stack:
        await make_topic(stack.bootstrap, "t")
        await write(stack.bootstrap, "t", b"x")
        assert await read_all(stack.bootstrap, "t") == [b"x"]
        with pytest.raises(StopTheOtherProcess, match=f"process {os.getpid()}"):
            await Stack(tmp_path, cache=cache, java=java).start()
    assert is_free(int(stack.bootstrap.rpartition(":")[2]))
    with FileLock(tmp_path / "lock"):
        pass


async def test_a_stack_of_another_process_is_reported(tmp_path: Path, cache: Path) -> None:
    program = (
        "import pathlib, sys; from shieldx.dev.file_lock import FileLock\n"
        "FileLock(pathlib.Path(sys.argv[1]) / 'lock').acquire(); print(flush=True); sys.stdin.read()"
    )
    other = await programs.start_awaitable(
        [sys.executable, "-c", program, tmp_path],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert other.stdout is not None
    await other.stdout.readline()
    with pytest.raises(StopTheOtherProcess, match=f"in use by process {other.pid}") as caught:
        await Stack(tmp_path, cache=cache).start()
    assert caught.value.holder_pid == other.pid
    other.kill()
    await other.wait()
    with FileLock(tmp_path / "lock"):  # a killed process holds nothing
        pass
