"""Processes that die with the process which started them, even if that is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from multiprocessing import connection, parent_process
from threading import Thread

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Let this process be killed when `parent`, which has started it, is gone.

    A process of a pool waits for work on a pipe that it holds both ends of, and so would wait for ever. On Linux the
    kernel sends SIGKILL when the thread that started this process ends; elsewhere a thread waits for the parent's end.

    Raises OSError if the kernel refuses.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)
    else:
        Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    starter = parent_process()
    if starter is not None:
        connection.wait([starter.sentinel])
    os._exit(1)
