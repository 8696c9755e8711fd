"""A server process and its children, which a signal to the server alone would not reach."""

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
    """Suspend a process and then its children; in this order it cannot start more of them."""
    _send(pid, signal.SIGSTOP)
    for child in children_of(pid):
        _send(child, signal.SIGSTOP)


def thaw_family(pid: int) -> None:
    """Resume a suspended process and its children."""
    for child in children_of(pid):
        _send(child, signal.SIGCONT)
    _send(pid, signal.SIGCONT)


async def kill_family(pid: int) -> None:
    """Kill a process and its children with SIGKILL, and return when the children are gone.

    Without this the children would exit a moment later, and not at all while they are suspended. Postgres refuses to
    start while one is alive.
    """
    _send(pid, signal.SIGSTOP)
    children = children_of(pid)
    for member in (pid, *children):
        _send(member, signal.SIGKILL)
    while any(lives(child) for child in children):  # noqa: ASYNC110 - not our children: nothing to await
        await asyncio.sleep(_POLL_S)


async def kill_orphans(is_orphan: Callable[[str], bool]) -> list[int]:
    """Kill the processes whose command line satisfies `is_orphan`, and return their ids when they are gone.

    If a server is killed from outside, its children outlive it for a moment, or indefinitely if they are suspended.
    """
    found = [pid for pid, line in _command_lines() if is_orphan(line)]
    for pid in found:
        _send(pid, signal.SIGKILL)
    while any(lives(pid) for pid in found):  # noqa: ASYNC110 - not our children: nothing to await
        await asyncio.sleep(_POLL_S)
    return found


def children_of(pid: int) -> list[int]:
    """The direct children of a process."""
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
        with contextlib.suppress(OSError):  # it has exited meanwhile
            line = (folder / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
            found.append((int(folder.name), line.decode(errors="replace").strip()))
    return found


def _parents_on_linux() -> list[tuple[int, int]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has exited meanwhile
            # The name is in parentheses and may contain anything. The state and the parent's id follow.
            found.append((int(folder.name), int(_stat(folder)[1])))
    return found


def _stat(folder: Path) -> list[str]:
    return (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()


def lives(pid: int) -> bool:
    """Whether a process is alive; a zombie does not count."""
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
