"""A test run that is interrupted or killed leaves no process behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from shieldx.dev.process_family import lives
from tests import programs
from tests.interruption import held_run
from tests.polling import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux binds a child to a parent that is killed"),
]

OPTIONS = ("-p", "no:cacheprovider")
ALONE, PARALLEL = (), ("-n", "1")
BROKERS = 3
STARTS_IN_S = 150.0
ENDS_IN_S = 60.0
only_in_soak = pytest.mark.soak(only=True)


@pytest.mark.parametrize(
    ("number", "options"),
    [
        (signal.SIGINT, ALONE),
        pytest.param(signal.SIGINT, PARALLEL, marks=only_in_soak),
        pytest.param(signal.SIGKILL, ALONE, marks=only_in_soak),
        (signal.SIGKILL, PARALLEL),
    ],
)
async def test_no_process_outlives_its_run(tmp_path: Path, number: signal.Signals, options: tuple[str, ...]) -> None:
    ready, output = tmp_path / "ready", tmp_path / "output"
    with output.open("wb") as file:
        run = await programs.start_awaitable(
            [sys.executable, "-m", "pytest", f"--basetemp={tmp_path / 'run'}", *OPTIONS, *options, held_run.__file__],
            env=os.environ | {held_run.READY_FILE: str(ready)},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    await until(lambda: ready.exists() or run.returncode is not None, timeout_s=STARTS_IN_S)
    assert run.returncode is None, output.read_text()
    started = psutil.Process(run.pid).children(recursive=True)
    lines = [" ".join(process.cmdline()) for process in started]
    assert sum("kafka.Kafka" in line for line in lines) == BROKERS, lines
    assert any("postgres" in line for line in lines), lines
    if number == signal.SIGINT:
        os.killpg(run.pid, number)  # as a terminal does
    else:
        run.kill()
    async with asyncio.timeout(ENDS_IN_S):
        await run.wait()
    try:
        with contextlib.suppress(TimeoutError):
            await until(lambda: not any(lives(process.pid) for process in started), timeout_s=ENDS_IN_S)
        assert [line for process, line in zip(started, lines, strict=True) if lives(process.pid)] == []
    finally:
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
