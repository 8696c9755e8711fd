"""Jars are used only if they match the lock, and appear in the cache all at once."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from shieldx.dev.jar_lock import JarLock, LockedJar
from shieldx.dev.jars import (
    CheckTheNetworkAndTryAgain,
    DeleteTheJarsAndTryAgain,
    download_jars,
    installed_jars,
    jars_folder,
)

_CONTENT = {"g:a:1": b"the jar a", "g:b:2": b"the jar b"}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


_LOCK = JarLock((LockedJar(_sha256(b"the jar a"), "g", "a", "1"), LockedJar(_sha256(b"the jar b"), "g", "b", "2")))


@dataclass
class _Maven:
    """Serves `content` like jgo, with each jar in a file of its own."""

    folder: Path
    content: dict[str, bytes]

    def create_dependency(self, coordinate: str) -> SimpleNamespace:
        return SimpleNamespace(artifact=SimpleNamespace(resolve=lambda: self._file(coordinate)))

    def _file(self, coordinate: str) -> Path:
        if coordinate not in self.content:
            raise RuntimeError(f"{coordinate} not found")
        path = self.folder / coordinate
        path.write_bytes(self.content[coordinate])
        return path


def _serve(monkeypatch: pytest.MonkeyPatch, content: dict[str, bytes]) -> None:
    monkeypatch.setattr("shieldx.dev.jars._maven", lambda folder: _Maven(folder, content))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    _serve(monkeypatch, _CONTENT)
    return tmp_path / "cache"


def test_missing_downloads_are_not_installed(cache: Path) -> None:
    assert installed_jars(_LOCK, cache) is None


def test_downloaded_jars_are_installed_in_the_locks_order(cache: Path) -> None:
    jars = download_jars(_LOCK, cache)
    assert [jar.read_bytes() for jar in jars] == [b"the jar a", b"the jar b"]
    assert installed_jars(_LOCK, cache) == jars
    assert list(cache.iterdir()) == [jars_folder(_LOCK, cache)]


def test_a_download_that_is_not_the_locked_one_is_refused_and_nothing_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(monkeypatch, _CONTENT | {"g:b:2": b"something else"})
    with pytest.raises(DeleteTheJarsAndTryAgain) as caught:
        download_jars(_LOCK, cache)
    assert "g:b:2" in str(caught.value)
    assert f"expected SHA-256 {_sha256(b'the jar b')}, found {_sha256(b'something else')}" in str(caught.value)
    assert list(cache.iterdir()) == []


def test_a_failed_download_is_reported_and_nothing_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _serve(monkeypatch, {"g:a:1": b"the jar a"})
    with pytest.raises(CheckTheNetworkAndTryAgain, match="g:b:2"):
        download_jars(_LOCK, cache)
    assert list(cache.iterdir()) == []


def test_remains_of_a_killed_download_are_removed(cache: Path) -> None:
    (cache / "unfinished-jars-x" / "maven").mkdir(parents=True)
    download_jars(_LOCK, cache)
    assert list(cache.iterdir()) == [jars_folder(_LOCK, cache)]


def test_a_changed_jar_is_named_with_what_to_delete(cache: Path) -> None:
    jar = download_jars(_LOCK, cache)[1]
    jar.write_bytes(b"changed!!")
    with pytest.raises(DeleteTheJarsAndTryAgain) as caught:
        installed_jars(_LOCK, cache)
    assert str(jar) in str(caught.value)
    assert f"expected SHA-256 {_sha256(b'the jar b')}, found {_sha256(b'changed!!')}" in str(caught.value)
    assert f"delete the folder {jars_folder(_LOCK, cache)}" in str(caught.value)


def test_a_change_of_equal_size_with_reset_times_is_noticed(cache: Path) -> None:
    jar = download_jars(_LOCK, cache)[0]
    before = jar.stat()
    jar.write_bytes(b"The Jar A")
    os.utime(jar, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DeleteTheJarsAndTryAgain):
        installed_jars(_LOCK, cache)


def test_a_missing_jar_is_named(cache: Path) -> None:
    jar = download_jars(_LOCK, cache)[0]
    jar.unlink()
    with pytest.raises(DeleteTheJarsAndTryAgain, match="found no file"):
        installed_jars(_LOCK, cache)


def test_unchanged_jars_are_not_hashed_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jars = download_jars(_LOCK, cache)
    os.utime(jars[1])  # touched: to be hashed once more, but only once
    hashed: list[Path] = []

    def hash_and_note(path: Path) -> str:
        hashed.append(path)
        return _sha256(path.read_bytes())

    monkeypatch.setattr("shieldx.dev.jars._sha256", hash_and_note)
    assert installed_jars(_LOCK, cache) == jars
    assert installed_jars(_LOCK, cache) == jars
    assert hashed == [jars[1]]


def test_without_its_record_every_jar_is_hashed(cache: Path) -> None:
    jar = download_jars(_LOCK, cache)[0]
    (jar.parent / "verified.json").write_text("not JSON")
    assert installed_jars(_LOCK, cache) is not None
    jar.write_bytes(b"The Jar A")
    (jar.parent / "verified.json").unlink()
    with pytest.raises(DeleteTheJarsAndTryAgain):
        installed_jars(_LOCK, cache)
