"""Become another program that dies with the process which started it. Run as a script, never imported.

Arguments: the starter's process id, then the program and its arguments. On Linux the kernel then sends
SIGKILL when the *thread* that forked exits, not only when its process does: start children from a thread
that lives as long as they should. Elsewhere this only becomes the program.

It is a script of its own, and not a preexec function, because Python code between fork and exec can
deadlock in a process that has threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the signal, then exec."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
        if os.getppid() != parent:  # it died before the kernel knew
            sys.exit("the starting process is gone")
    os.execv(program[0], program)  # noqa: S606 - becoming the given program is this script's purpose


if __name__ == "__main__":
    main()
