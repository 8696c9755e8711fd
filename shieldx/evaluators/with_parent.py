"""Processes that die with the process that started them, even if that is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from multiprocessing import connection, parent_process
from threading import Thread

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have this process killed when `parent`, which started it, exits.

    A process of a pool waits for work on a pipe whose both ends it holds, so it would wait forever. On Linux the kernel
    sends SIGKILL when the thread that started this process ends; on other systems a thread waits for the parent's exit.

    Raises OSError if the kernel rejects the request.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # the parent died before the request
            os._exit(1)
    else:
        Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    starter = parent_process()
    if starter is not None:
        connection.wait([starter.sentinel])
    os._exit(1)
