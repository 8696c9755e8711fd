"""The processes that a server has started: a signal to the server alone would not reach them."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_POLL_S = 0.01


def freeze_family(pid: int) -> None:
    """Stop the time of a process, and then of its children: in this order it can start no more of them."""
    _send(pid, signal.SIGSTOP)
    for child in children_of(pid):
        _send(child, signal.SIGSTOP)


def thaw_family(pid: int) -> None:
    """Let a frozen process and its children go on."""
    for child in children_of(pid):
        _send(child, signal.SIGCONT)
    _send(pid, signal.SIGCONT)


async def kill_family(pid: int) -> None:
    """Kill a process and its children with SIGKILL; return when the children are gone.

    Alone, its children would end too, but a moment later, and not while they are frozen; and Postgres refuses to start
    as long as one lives.
    """
    _send(pid, signal.SIGSTOP)
    children = children_of(pid)
    for member in (pid, *children):
        _send(member, signal.SIGKILL)
    while any(lives(child) for child in children):  # noqa: ASYNC110 - not our children: nothing to await
        await asyncio.sleep(_POLL_S)


async def kill_orphans(is_orphan: Callable[[str], bool]) -> list[int]:
    """Kill the processes whose command line answers so; return their ids when they are gone.

    A server's children outlive it for a moment where it was killed from outside, and for ever if they are frozen.
    """
    found = [pid for pid, line in _command_lines() if is_orphan(line)]
    for pid in found:
        _send(pid, signal.SIGKILL)
    while any(lives(pid) for pid in found):  # noqa: ASYNC110 - not our children: nothing to await
        await asyncio.sleep(_POLL_S)
    return found


def children_of(pid: int) -> list[int]:
    """The children of a process, without theirs."""
    if sys.platform == "linux":
        return [child for child, parent in _parents_on_linux() if parent == pid]
    listing = subprocess.run(["/bin/ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
    pairs = [line.split() for line in listing.splitlines()]
    return [int(child) for child, parent in pairs if int(parent) == pid]


def _command_lines() -> list[tuple[int, str]]:
    if sys.platform != "linux":
        listing = subprocess.run(
            ["/bin/ps", "-ww", "-A", "-o", "pid=,command="], check=True, capture_output=True, text=True
        ).stdout
        pairs = [line.strip().partition(" ") for line in listing.splitlines()]
        return [(int(pid), line) for pid, _, line in pairs]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            line = (folder / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
            found.append((int(folder.name), line.decode(errors="replace").strip()))
    return found


def _parents_on_linux() -> list[tuple[int, int]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            # The name stands in parentheses and may hold anything; state and parent follow.
            found.append((int(folder.name), int(_stat(folder)[1])))
    return found


def _stat(folder: Path) -> list[str]:
    return (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()


def lives(pid: int) -> bool:
    """Whether a process runs still; one that only waits to be noticed by its new parent does not."""
    try:
        if sys.platform == "linux":
            return _stat(Path(f"/proc/{pid}"))[0] not in "ZX"
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
