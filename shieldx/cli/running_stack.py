"""The `shieldx up` of a stack folder: what it publishes for other commands, and whether it is running."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from shieldx.bootstrap.stack_file import STACK_FILE, StackFile, read_stack_file
from shieldx.dev.file_lock import FileLock, StopTheOtherProcess
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from shieldx.settings import Settings


def publish(settings: Settings, stack: StackFile) -> None:
    """Write stack.json atomically."""
    path = settings.stack_folder / STACK_FILE
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(msgspec.json.encode(stack) + b"\n")
    unfinished.replace(path)


def withdraw(settings: Settings) -> None:
    """Remove stack.json, whoever wrote it. The caller must hold the stack folder's lock."""
    (settings.stack_folder / STACK_FILE).unlink(missing_ok=True)


def stack_lock(settings: Settings) -> FileLock:
    """The lock of a running stack."""
    return FileLock(settings.stack_folder.absolute() / "lock")


def holder_pid(settings: Settings) -> int | None:
    """The id of the process that holds the stack folder; None if there is none, 0 if its id is unknown."""
    if not settings.stack_folder.is_dir():
        return None
    try:
        with stack_lock(settings):
            return None
    except StopTheOtherProcess as error:
        return error.holder_pid or 0


def running_pid(settings: Settings) -> int | None:
    """The id of the `shieldx up` process that holds the stack folder, or None if none is running.

    Raises:
        FixConfiguration: The process that holds the folder is not the one in stack.json.
    """
    holder = holder_pid(settings)
    if holder is None:
        return None
    stack = read_stack_file(settings)
    if stack is None or stack.pid != holder:
        raise FixConfiguration(
            f"{settings.stack_folder} is held by process {holder or 'unknown'}, which is not a ready `shieldx up`: "
            "it is starting or stopping, or another program runs the stack. Wait, or stop that process"
        )
    return holder
