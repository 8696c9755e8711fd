"""A process that judges samples and is restarted after it has died."""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from shieldx.errors import RestoreTask, ShieldXError
from shieldx.evaluators.judging import ready
from shieldx.evaluators.with_parent import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Given = TypeVar("Given")
Returned = TypeVar("Returned")

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class StartAgain(ShieldXError):
    """The judging process has died.

    Nothing to do: the next `start` creates another one.
    """


class JudgingProcess:
    """An executor with one process, so that it is known which work killed a process, and which process to kill."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._pid: int | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process, if there is one."""
        return self._pid

    @property
    def resident_bytes(self) -> int:
        """The memory use of the process; 0 outside Linux, where it is unknown."""
        try:
            pages = Path(f"/proc/{self._pid}/statm").read_text(encoding="ascii").split()[1]
        except OSError:
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    async def start(self) -> None:
        """Start the process if it is not running, and wait until it has imported what it needs.

        Raises:
            RestoreTask: It died during its start, perhaps for lack of memory.
        """
        if self._executor is not None:
            return
        # No fork: this process has threads and connections that do not survive it.
        executor = ProcessPoolExecutor(1, get_context("spawn"), initializer=die_with_parent, initargs=(os.getpid(),))
        self._executor = executor
        try:
            with _stop_signals_blocked():
                starting = executor.submit(ready)
            self._pid = await asyncio.wrap_future(starting)
        except BrokenProcessPool as error:
            self._discard()
            raise RestoreTask("a judging process died during its start; see its stderr or the kernel's log") from error
        except asyncio.CancelledError:
            self._discard()
            raise

    async def run(self, function: Callable[[Given], Returned], given: Given) -> Returned:
        """Call a function in the started process. If cancelled, the process is killed.

        Raises:
            StartAgain: The process died.
        """
        if self._executor is None:
            raise StartAgain("the process was not started")
        try:
            return await asyncio.wrap_future(self._executor.submit(function, given))
        except BrokenProcessPool as error:
            self._discard()
            raise StartAgain("the process died") from error
        except asyncio.CancelledError:
            self._discard()  # otherwise it would continue work that nobody needs and block the next call
            raise

    async def stop(self) -> None:
        """Kill the process and return when it is gone."""
        executor = self._discard(shut_down=False)
        if executor is not None:
            await asyncio.to_thread(executor.shutdown, wait=True, cancel_futures=True)

    def _discard(self, *, shut_down: bool = True) -> ProcessPoolExecutor | None:
        """Kill the process and forget it. Its executor reaps it."""
        executor, pid = self._executor, self._pid
        self._executor = self._pid = None
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if executor is not None and shut_down:
            executor.shutdown(wait=False, cancel_futures=True)
        return executor


@contextmanager
def _stop_signals_blocked() -> Iterator[None]:
    """Block the stop signals in everything that is started within the context, from its first instruction on.

    A terminal's Ctrl-C goes to every process of its group, but the worker needs its processes until it has stopped
    gracefully. A handler set by the process itself would come too late while it is still importing.
    """
    resource_tracker.ensure_running()  # starting it later would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
