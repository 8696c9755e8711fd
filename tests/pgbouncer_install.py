"""PgBouncer for tests: the one on PATH, or the distribution's package, unpacked once into a cache."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from shieldx.dev.cache_folder import cache_folder
from shieldx.dev.unprivileged_user import copy_open_to_all
from tests import programs

PROGRAM = "pgbouncer"
ROOTS_CACHE = Path("/var/cache/shieldx")
"""PgBouncer refuses to run as root, and another user cannot enter root's own cache."""
TIMEOUT_S = 120


class NoPgBouncer(Exception):
    """Why there is none, for the tests that are skipped."""


@dataclass(frozen=True)
class InstalledPgBouncer:
    """The program, and what its environment must hold."""

    program: Path
    environment: dict[str, str] = field(default_factory=dict)


def installed_pgbouncer() -> InstalledPgBouncer:
    """The program on PATH, or the one of the distribution's package, which is downloaded once.

    Raises:
        NoPgBouncer: there is none, and apt cannot download it.
    """
    on_path = shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if on_path is not None:
        return InstalledPgBouncer(Path(on_path))
    cache = ROOTS_CACHE if os.geteuid() == 0 else cache_folder(os.environ.get("XDG_CACHE_HOME"))
    root = cache / PROGRAM
    if not root.is_dir():
        _unpack_into(root)
    found = InstalledPgBouncer(root / "usr/sbin" / PROGRAM, {"LD_LIBRARY_PATH": ":".join(_library_folders(root))})
    ran = programs.run([found.program, "--version"], env=found.environment)
    if ran.returncode != 0:
        raise NoPgBouncer(f"{found.program} does not run: {ran.stderr.strip()}")
    return found


def _unpack_into(root: Path) -> None:
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if apt is None or dpkg is None:
        raise NoPgBouncer(f"there is no {PROGRAM} on PATH, and no apt-get that could download it")
    with TemporaryDirectory() as name:
        folder = Path(name)
        for package in _downloaded(apt, folder):
            if package.name.startswith((PROGRAM, "lib")):
                programs.run([dpkg, "-x", package, folder / "root"], check=True)
        copy_open_to_all({"": folder / "root"}, root)


def _downloaded(apt: str, folder: Path) -> list[Path]:
    """The package and those of its libraries that this system lacks. All of apt's own files are in the folder."""
    for part in ("lists/partial", "archives/partial"):
        (folder / part).mkdir(parents=True)
    options = {
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder,
        "Dir::Cache::Archives": folder / "archives",
        "Debug::NoLocking": "true",
        "APT::Sandbox::User": "root",  # its own user may not write to the folder
        "Acquire::Languages": "none",
        "Acquire::Retries": "0",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    for command in (["update"], ["install", "--download-only", "--no-install-recommends", "--yes", PROGRAM]):
        done = programs.run([apt, "-qq", *words, *command], timeout=TIMEOUT_S)
        if done.returncode != 0:
            raise NoPgBouncer(f"there is no {PROGRAM} on PATH, and apt-get cannot download it: {done.stderr.strip()}")
    return list((folder / "archives").glob("*.deb"))


def _library_folders(root: Path) -> list[str]:
    return sorted({str(library.parent) for library in root.rglob("lib*.so*")})
