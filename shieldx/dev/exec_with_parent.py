"""Become another program that dies with the process that started it. Run as a script, never imported.

Arguments: the parent's process id, then the program and its arguments. On Linux the kernel then sends SIGKILL when
the *thread* that forked exits, not only when its process does: start children from a thread that lives as long as
they should. On other systems this only becomes the program.

This is a script rather than a preexec function because Python code between fork and exec can deadlock in a process
that has threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Request the signal, then exec."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
        if os.getppid() != parent:  # the parent died before the request
            sys.exit("the parent process has exited")
    os.execv(program[0], program)  # noqa: S606 - becoming the given program is this script's purpose


if __name__ == "__main__":
    main()
