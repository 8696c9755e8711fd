"""The user that runs what refuses to run as root."""

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
    """This cannot be done as root here."""


@dataclass(frozen=True, slots=True)
class UnprivilegedUser:
    """A user and its group, by number."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give the user a folder or a file, which nobody else can open then; what is within is left alone."""
        os.chown(path, self.uid, self.gid)
        path.chmod(0o700 if path.is_dir() else 0o600)


def unprivileged_user() -> UnprivilegedUser | None:
    """The user to run as, or None to stay who we are, which is not root.

    Raises:
        RunAsAnotherUser: we are root, and this system has no such user, or no /proc to reach folders by.
    """
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        raise RunAsAnotherUser("the embedded Postgres cannot be run by root on this system; run it as another user")
    try:
        found = pwd.getpwnam(_NAME)
    except KeyError:
        raise RunAsAnotherUser(
            f"Postgres refuses to run as root, and there is no user {_NAME!r}; run it as another user"
        ) from None
    return UnprivilegedUser(found.pw_uid, found.pw_gid)


def is_open_to_all(folder: Path) -> bool:
    """Whether any user may enter the folder: every folder above it lets others pass."""
    real = folder.resolve()
    return all(path.stat().st_mode & 0o001 for path in (real, *real.parents))


def copy_open_to_all(sources: Mapping[str, Path], target: Path) -> None:
    """Copy folders, by their names within `target`, to where any user may read them, but only we may write.

    All of it is there afterwards or, after a kill, none.
    """
    for parent in reversed(target.parents):
        if not parent.is_dir():
            parent.mkdir()
            parent.chmod(0o755)  # whatever our umask is
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
        if not target.is_dir():  # else another process was first
            raise
