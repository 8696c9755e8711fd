"""What happens to state on disk while nobody has it open: files are damaged, or an old backup is put in their place."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

_LOCK = "LOCK"
"""RocksDB's own: who holds it has the store."""


def damage(folder: Path, random: Random) -> int:
    """Cut off, overwrite or remove a file of each store that nobody has open; returns how many stores."""
    found = 0
    for store in _stores(folder):
        with _held(store) as is_held:
            files = sorted(path for path in store.iterdir() if path.name != _LOCK and path.stat().st_size)
            if is_held and files:
                _spoil(random.choice(files), random)
                found += 1
    return found


def back_up(folder: Path, backups: Path) -> int:
    """Copy each store that nobody has open; returns how many."""
    found = 0
    for store in _stores(folder):
        with _held(store) as is_held:
            if is_held:
                copy = backups / store.relative_to(folder)
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(store, copy)
                found += 1
    return found


def put_back(folder: Path, backups: Path) -> int:
    """Have each store that nobody has open be what it was when it was backed up; returns how many."""
    found = 0
    for copy in _stores(backups):
        store = folder / copy.relative_to(backups)
        with _held(store) as is_held:
            if is_held:
                for path in store.iterdir():
                    if path.name != _LOCK:
                        path.unlink()
                for path in copy.iterdir():
                    if path.name != _LOCK:
                        shutil.copy2(path, store / path.name)
                found += 1
    return found


def _stores(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"*/*/{_LOCK}"))


@contextmanager
def _held(store: Path) -> Iterator[bool]:
    """Hold a store as a worker would; False if one does."""
    lock = store / _LOCK
    if not lock.exists():
        yield False
        return
    with lock.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _spoil(path: Path, random: Random) -> None:
    size = path.stat().st_size
    match random.randrange(3):
        case 0:
            path.unlink()
        case 1:
            with path.open("r+b") as file:
                file.truncate(random.randrange(size))
        case _:
            with path.open("r+b") as file:
                file.seek(random.randrange(size))
                file.write(random.randbytes(min(size, 100)))
