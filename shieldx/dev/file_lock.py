"""A file lock that its holder loses when it exits, if not before."""

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from shieldx.dev.stack_error import StackError


class StopTheOtherProcess(StackError):
    """Another live process holds the lock.

    Stop that process, or use another folder.
    """

    def __init__(self, message: str, holder_pid: int | None) -> None:
        super().__init__(message)
        self.holder_pid = holder_pid


class FileLock:
    """An exclusive flock on `path`. The file stores the holder's process id for the error message of other processes.

    The lock is not reentrant, even within one process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock without waiting. Raises StopTheOtherProcess with the holder's process id if it is taken."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder_pid = _holder_pid(descriptor)
            os.close(descriptor)
            who = "another process" if holder_pid is None else f"process {holder_pid}"
            raise StopTheOtherProcess(
                f"{self._path.parent} is in use by {who}; stop it, or use another folder", holder_pid
            ) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock. Does nothing if it is not held."""
        # The file stays: removing it would let two processes lock two different files of the same name.
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _holder_pid(descriptor: int) -> int | None:
    with contextlib.suppress(ValueError):  # the holder may not have written it yet
        return int(os.pread(descriptor, 32, 0))
    return None
