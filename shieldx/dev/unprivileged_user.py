"""The user that runs programs which refuse to run as root."""

import os
import pwd
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shieldx.dev.stack_error import StackError

_NAME = "nobody"


class RunAsAnotherUser(StackError):
    """Root cannot do this here.

    Run the command as another user.
    """


@dataclass(frozen=True, slots=True)
class UnprivilegedUser:
    """A user and its group, by id."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Make the user the owner of a folder or file and deny access to all others. Does not recurse."""
        os.chown(path, self.uid, self.gid)
        path.chmod(0o700 if path.is_dir() else 0o600)


def unprivileged_user() -> UnprivilegedUser | None:
    """The user to run as, or None to run as the current user, which is not root.

    Raises:
        RunAsAnotherUser: this process is root, and the system has no such user, or no /proc to reach folders through.
    """
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        raise RunAsAnotherUser("root cannot run the embedded Postgres on this system; run it as another user")
    try:
        found = pwd.getpwnam(_NAME)
    except KeyError:
        raise RunAsAnotherUser(
            f"Postgres refuses to run as root, and the user {_NAME!r} does not exist; run it as another user"
        ) from None
    return UnprivilegedUser(found.pw_uid, found.pw_gid)


def is_open_to_all(folder: Path) -> bool:
    """Whether any user may enter the folder and all folders above it."""
    real = folder.resolve()
    return all(path.stat().st_mode & 0o001 for path in (real, *real.parents))


def copy_open_to_all(sources: Mapping[str, Path], target: Path) -> None:
    """Copy folders to where any user can read them but only this one can write; keys are names within `target`.

    The copy is atomic: after a kill, either all of it is there or none.
    """
    for parent in reversed(target.parents):
        if not parent.is_dir():
            parent.mkdir()
            parent.chmod(0o755)  # regardless of the umask
    unfinished = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name, source in sources.items():
        shutil.copytree(source, unfinished / name, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    try:
        unfinished.rename(target)
    except OSError:
        shutil.rmtree(unfinished)
        if not target.is_dir():  # otherwise another process was faster
            raise
