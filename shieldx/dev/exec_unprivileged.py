"""Become another program as another user, which dies with its parent. Run as a script, never imported.

Arguments: user id, group id, then those of exec_with_parent. Postgres refuses to run as root. The user changes first:
the kernel forgets that a process is to die with its parent when its user changes. And it changes within this script:
neither Python nor this file need be readable by that user.
"""

import os
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Change the user, then do as exec_with_parent."""
    become_program = runpy.run_path(str(Path(__file__).with_name("exec_with_parent.py")))["main"]
    user, group = int(sys.argv[1]), int(sys.argv[2])
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    del sys.argv[1:3]
    become_program()


if __name__ == "__main__":
    main()
