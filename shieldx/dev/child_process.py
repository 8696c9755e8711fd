"""Child processes that do not outlive this process, and the clean-up of those that did."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from shieldx.dev.unprivileged_user import UnprivilegedUser

_EXEC_WITH_PARENT = Path(__file__).parent / "exec_with_parent.py"
_EXEC_UNPRIVILEGED = Path(__file__).parent / "exec_unprivileged.py"
_POLL_S = 0.01


def bound_to_this_process(command: Sequence[str | Path], user: UnprivilegedUser | None = None) -> list[str]:
    """Return the command line that runs `command` as a child which does not outlive this process.

    The first element of `command` is the path of a program. The child runs as `user`, if one is given. On Linux it is
    killed when the thread that starts it ends, however it ends; elsewhere nothing binds it. See exec_with_parent.
    """
    # -I -S: quick, and deaf to whatever the user's environment tells Python.
    script = [_EXEC_WITH_PARENT] if user is None else [_EXEC_UNPRIVILEGED, user.uid, user.gid]
    return [sys.executable, "-I", "-S", *map(str, (*script, os.getpid(), *command))]


def start_child(
    command: Sequence[str],
    *,
    folder: Path,
    output: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
    user: UnprivilegedUser | None = None,
    given: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start `command` in `folder`, appending its stdout and stderr to the file `output`.

    It runs as `user` if one is given, and reads the file `given` as its stdin.

    It gets the given environment only: what is in ours, JAVA_TOOL_OPTIONS for one, could change what runs.
    The child is in a session of its own, so a terminal's Ctrl-C does not reach it. On Linux it is killed
    when the calling thread ends; see bound_to_this_process.
    """
    with output.open("ab") as file, (given or Path(os.devnull)).open("rb") as stdin:
        return subprocess.Popen(  # noqa: S603 - the command is built here from checked parts
            bound_to_this_process(command, user),
            cwd=folder,
            env={"LC_ALL": "C.UTF-8", **environment},
            stdin=stdin,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


async def wait_for_child(child: "subprocess.Popen[bytes]") -> int:
    """Wait until the child has exited and return its exit status."""
    # asyncio's own subprocesses belong to one event loop, and a broker may outlive it.
    while (status := child.poll()) is None:  # noqa: ASYNC110 - the kernel sets no asyncio.Event
        await asyncio.sleep(_POLL_S)
    return status


async def run_child(
    command: Sequence[str],
    *,
    folder: Path,
    output: Path,
    timeout_s: float,
    user: UnprivilegedUser | None = None,
    given: Path | None = None,
) -> int:
    """Run `command` as `start_child` does and return its exit status. Raises TimeoutError after killing it."""
    child = start_child(command, folder=folder, output=output, user=user, given=given)
    try:
        async with asyncio.timeout(timeout_s):
            return await wait_for_child(child)
    finally:
        kill_child(child)


async def stop_child(
    child: "subprocess.Popen[bytes]", *, timeout_s: float, number: signal.Signals = signal.SIGTERM
) -> None:
    """Send the child SIGTERM or the given signal, and SIGKILL after `timeout_s`. Returns when it has exited."""
    try:
        child.send_signal(number)
        child.send_signal(signal.SIGCONT)  # a suspended process does not handle SIGTERM
        async with asyncio.timeout(timeout_s):
            await wait_for_child(child)
    except TimeoutError:
        pass  # it is killed below
    finally:
        kill_child(child)


def kill_child(child: "subprocess.Popen[bytes]") -> None:
    """Kill the child with SIGKILL unless it has exited, and wait for its exit, which is immediate."""
    child.kill()
    child.wait()


async def end_leftover(pid_file: Path, *, command_end: str, timeout_s: float = 10.0) -> int | None:
    """Kill the process in `pid_file` if its command line ends with `command_end`. Returns its id if it was killed.

    This handles a child whose parent was killed on a system where the kernel cannot tie the two together. The command
    line protects an unrelated process that has since been given the same id. Raises TimeoutError if it does not exit.
    """
    pid = _pid_in(pid_file)
    if pid is None or not _command_line(pid).endswith(command_end):
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(timeout_s):
        while _command_line(pid).endswith(command_end):  # noqa: ASYNC110 - not our child: nothing to await
            await asyncio.sleep(_POLL_S)
    return pid


def _pid_in(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _command_line(pid: int) -> str:
    if sys.platform == "linux":
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return arguments.rstrip(b"\0").replace(b"\0", b" ").decode(errors="surrogateescape")
    listing = subprocess.run(  # noqa: S603 - a fixed program and a number
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True
    )
    return listing.stdout.strip()
