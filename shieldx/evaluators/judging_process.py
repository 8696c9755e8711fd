"""One process that judges, and is started again after it has died."""

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
    """The process has died; the next `start` makes another one."""


class JudgingProcess:
    """An executor of one process, so that it is known which work a process died of, and which to kill."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._pid: int | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process, if there is one."""
        return self._pid

    @property
    def resident_bytes(self) -> int:
        """How much memory the process takes; 0 where the kernel does not say, outside Linux."""
        try:
            pages = Path(f"/proc/{self._pid}/statm").read_text(encoding="ascii").split()[1]
        except OSError:
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    async def start(self) -> None:
        """Start the process, unless it runs, and wait until it has imported what it needs.

        Raises:
            RestoreTask: it died as it started, for want of memory perhaps.
        """
        if self._executor is not None:
            return
        # Not forked: this process has threads and connections, which a copy of it would break.
        executor = ProcessPoolExecutor(1, get_context("spawn"), initializer=die_with_parent, initargs=(os.getpid(),))
        self._executor = executor
        try:
            with _stop_signals_blocked():
                starting = executor.submit(ready)
            self._pid = await asyncio.wrap_future(starting)
        except BrokenProcessPool as error:
            self._discard()
            raise RestoreTask(
                "a judging process died as it started; its stderr or the kernel's log says why"
            ) from error
        except asyncio.CancelledError:
            self._discard()
            raise

    async def run(self, function: Callable[[Given], Returned], given: Given) -> Returned:
        """Call a function in the process, which must have been started. Cancelled, the process is killed.

        Raises:
            StartAgain: the process died.
        """
        if self._executor is None:
            raise StartAgain("the process was not started")
        try:
            return await asyncio.wrap_future(self._executor.submit(function, given))
        except BrokenProcessPool as error:
            self._discard()
            raise StartAgain("the process died") from error
        except asyncio.CancelledError:
            self._discard()  # it would go on with what nobody waits for, and keep the next one waiting
            raise

    async def stop(self) -> None:
        """Kill the process; return when it is gone."""
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
    """What is started meanwhile never gets them, from its first instruction on.

    A terminal's Ctrl-C goes to every process of its group: the worker stops in order, and needs its processes until
    then. A handler set by the process itself would come too late for one that is just importing.
    """
    resource_tracker.ensure_running()  # starting it would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
