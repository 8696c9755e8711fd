"""Become another program, run as another user, that dies with its parent. Run as a script, never imported.

Arguments: user id, group id, then those of exec_with_parent. Postgres refuses to run as root. The user changes first,
because the kernel clears a process's parent-death signal when its user changes. The change happens within this script,
so that the new user does not need read access to Python or to this file.
"""

import os
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Change the user, then do what exec_with_parent does."""
    become_program = runpy.run_path(str(Path(__file__).with_name("exec_with_parent.py")))["main"]
    user, group = int(sys.argv[1]), int(sys.argv[2])
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    del sys.argv[1:3]
    become_program()


if __name__ == "__main__":
    main()
