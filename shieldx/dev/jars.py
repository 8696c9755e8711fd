"""Kafka's jars in the user's cache: downloaded once, and each checked against the committed lock.

`python -m shieldx.dev.jars` downloads and checks them. With `--lock` it resolves the versions named in this file
again and rewrites the lock.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, TypeAlias

import msgspec

from shieldx.dev.cache_folder import cache_folder
from shieldx.dev.file_lock import FileLock
from shieldx.dev.jar_lock import KAFKA_LOCK, JarLock, LockedJar, read_jar_lock
from shieldx.dev.java import InstallTheStackExtra
from shieldx.dev.stack_error import StackError

# Each root is resolved separately. Together, jgo lets the managed versions of log4j's parent override those that
# Kafka declares, and the broker gets the kafka-clients of an older release.
_ROOTS = ("org.apache.kafka:kafka_2.13:4.3.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4")

_PARALLEL_DOWNLOADS = 6

Stamp: TypeAlias = tuple[int, int, int]  # size in bytes, modification time in ns, change time in ns
_STAMPS = "verified.json"
_UNFINISHED = "unfinished-jars-"


class DeleteTheJarsAndTryAgain(StackError):
    """A jar differs from the lock. The message names the jar and the folder to delete.

    Delete that folder and try again.
    """


class CheckTheNetworkAndTryAgain(StackError):
    """A jar could not be downloaded; nothing was saved.

    Check the network connection and try again.
    """


class PinOneVersion(StackError):
    """The roots of the lock disagree on the version of a library.

    Pin one version of the library.
    """


def installed_jars(lock: JarLock, cache: Path) -> list[Path] | None:
    """Return the jars of `lock` in its order, or None if they have not been downloaded yet.

    A jar is hashed again only if its size or times have changed since the last successful check. Raises
    DeleteTheJarsAndTryAgain if a jar is missing or differs from the lock.
    """
    folder = jars_folder(lock, cache)
    if not folder.is_dir():
        return None
    recorded = _read_stamps(folder)
    stamps = {jar.file_name: _verified_stamp(jar, folder, recorded.get(jar.file_name)) for jar in lock.jars}
    if stamps != recorded:
        _write_stamps(folder, stamps)
    return [folder / jar.file_name for jar in lock.jars]


def download_jars(
    lock: JarLock, cache: Path, *, progress: Callable[[str], None] | None = None, stop: Event | None = None
) -> list[Path]:
    """Download the jars of `lock`, check every one, and then move them into place together.

    Blocks; another thread can set `stop` to end it after the downloads in progress. The caller must keep other
    processes out. Raises CheckTheNetworkAndTryAgain, DeleteTheJarsAndTryAgain or InstallTheStackExtra.
    """
    if progress is not None:
        progress(f"downloading Kafka (once, {len(lock.jars)} jars)")
    folder = jars_folder(lock, cache)
    cache.mkdir(parents=True, exist_ok=True)
    for abandoned in cache.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(abandoned)
    with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=cache) as temporary:
        assembled = Path(temporary) / "assembled"
        assembled.mkdir()
        for jar, source in _fetch(lock.jars, Path(temporary), stop or Event()):
            _check_downloaded(jar, source, folder)
            source.rename(assembled / jar.file_name)
        _write_stamps(assembled, {jar.file_name: _stamp(assembled / jar.file_name) for jar in lock.jars})
        assembled.rename(folder)
    return [folder / jar.file_name for jar in lock.jars]


def jars_folder(lock: JarLock, cache: Path) -> Path:
    """Return the folder in `cache` that holds the jars of `lock`."""
    return cache / f"kafka-jars-{lock.digest}"


def resolve_lock() -> JarLock:
    """Resolve this file's roots in Maven Central and hash the jars found there.

    Raises CheckTheNetworkAndTryAgain, PinOneVersion or InstallTheStackExtra.
    """
    with tempfile.TemporaryDirectory(prefix="shieldx-lock-") as temporary:
        context = _maven(Path(temporary))
        versions: dict[tuple[str, str], str] = {}
        for root in _ROOTS:
            for found in _closure(context, root):
                name = (found.groupId, found.artifactId)
                if versions.setdefault(name, found.version) != found.version:
                    raise PinOneVersion(f"the roots need both {versions[name]} and {found.version} of {':'.join(name)}")
        unhashed = [LockedJar("", *name, version) for name, version in sorted(versions.items())]
        return JarLock(
            tuple(replace(jar, sha256=_sha256(path)) for jar, path in _fetch(unhashed, Path(temporary), Event()))
        )


def _closure(context: Any, root: str) -> list[Any]:
    dependency = context.create_dependency(root)
    roots, needed = context.resolver.resolve([dependency])
    return [*roots, *(found for found in needed if found.scope in {"compile", "runtime"})]


def _maven(folder: Path) -> Any:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - an optional extra, needed only to download
    except ImportError as error:
        raise InstallTheStackExtra("cannot download Kafka without jgo: pip install 'shieldx[stack]'") from error
    return MavenContext(repo_cache=folder / "maven", local_repos=[])


def _fetch(jars: Iterable[LockedJar], folder: Path, stop: Event) -> list[tuple[LockedJar, Path]]:
    context = _maven(folder)

    def fetch_one(jar: LockedJar) -> tuple[LockedJar, Path]:
        if stop.is_set():
            raise CheckTheNetworkAndTryAgain("the download was interrupted")
        try:
            return jar, Path(context.create_dependency(jar.coordinate).artifact.resolve())
        except (OSError, RuntimeError) as error:
            raise CheckTheNetworkAndTryAgain(f"{jar.coordinate} could not be downloaded: {error}") from error

    with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
        try:
            return list(pool.map(fetch_one, jars))
        except BaseException:
            stop.set()
            raise


def _check_downloaded(jar: LockedJar, path: Path, folder: Path) -> None:
    found = _sha256(path)
    if found != jar.sha256:
        raise DeleteTheJarsAndTryAgain(
            f"the download of {jar.coordinate} does not match the lock: expected SHA-256 {jar.sha256}, "
            f"found {found}; nothing was saved in {folder}. Try again; if this repeats, your Maven Central "
            f"mirror serves a different file"
        )


def _verified_stamp(jar: LockedJar, folder: Path, recorded: Stamp | None) -> Stamp:
    path = folder / jar.file_name
    try:
        stamp = _stamp(path)
        if stamp == recorded:
            return stamp
        found = _sha256(path)
    except FileNotFoundError:
        found = "no file"
    if found != jar.sha256:
        raise DeleteTheJarsAndTryAgain(
            f"{path} does not match the lock of {jar.coordinate}: expected SHA-256 {jar.sha256}, found {found}; "
            f"delete the folder {folder} and try again"
        )
    return stamp


def _stamp(path: Path) -> Stamp:
    # Includes the change time: a program can reset the modification time but not the change time.
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_stamps(folder: Path) -> dict[str, Stamp]:
    try:
        return msgspec.json.decode((folder / _STAMPS).read_bytes(), type=dict[str, Stamp])
    except (OSError, msgspec.DecodeError):
        return {}  # the jars are only hashed again


def _write_stamps(folder: Path, stamps: dict[str, Stamp]) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        file.write(msgspec.json.encode(stamps))
    Path(file.name).replace(folder / _STAMPS)


def _main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m shieldx.dev.jars", description=__doc__)
    parser.add_argument("--lock", action="store_true", help=f"rewrite {KAFKA_LOCK.name}")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="default: %(default)s")
    options = parser.parse_args(arguments)
    if options.lock:
        KAFKA_LOCK.write_text(resolve_lock().text, encoding="ascii")
        return
    lock = read_jar_lock()
    if installed_jars(lock, options.cache) is None:
        with FileLock(options.cache / "lock"):
            download_jars(lock, options.cache)


if __name__ == "__main__":
    _main(sys.argv[1:])
