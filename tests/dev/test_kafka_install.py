"""Installing: once for all processes, and Kafka runs even where Java cannot be prepared for it."""

import asyncio
import hashlib
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from shieldx.dev.aot_cache import make_aot_cache
from shieldx.dev.child_process import run_child
from shieldx.dev.file_lock import FileLock
from shieldx.dev.jar_lock import JarLock, LockedJar
from shieldx.dev.java import Java
from shieldx.dev.kafka_install import install_kafka
from shieldx.dev.kafka_program import BROKER_CLASS, KafkaProgram

_LOCK = JarLock((LockedJar(hashlib.sha256(b"the jar").hexdigest(), "g", "a", "1"),))


@pytest.fixture
def java_17(tmp_path: Path) -> Path:
    home = tmp_path / "java"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").touch()
    (home / "release").write_text('JAVA_VERSION="17.0.9"\n')
    return home


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Serve one jar instead of Maven Central; the list tells how often it was asked for."""
    asked: list[str] = []

    def resolve() -> Path:
        asked.append("g:a:1")
        path = tmp_path / "served"
        path.write_bytes(b"the jar")
        return path

    maven = SimpleNamespace(create_dependency=lambda _: SimpleNamespace(artifact=SimpleNamespace(resolve=resolve)))
    monkeypatch.setattr("shieldx.dev.jars._maven", lambda _: maven)
    monkeypatch.setattr("shieldx.dev.kafka_install.read_jar_lock", lambda: _LOCK)
    return asked


async def test_two_that_start_at_once_download_once(tmp_path: Path, java_17: Path, downloads: list[str]) -> None:
    cache, told = tmp_path / "cache", list[str]()
    one, other = await asyncio.gather(*(install_kafka(cache, java_17, told.append) for _ in range(2)))
    assert one == other
    assert [jar.read_bytes() for jar in one.jars] == [b"the jar"]
    assert len(downloads) == len(told) == 1


async def test_java_17_runs_without_an_aot_cache(tmp_path: Path, java_17: Path, downloads: list[str]) -> None:
    program = await install_kafka(tmp_path / "cache", java_17, downloads.append)
    assert program.aot_cache is None
    assert not [word for word in program.command(BROKER_CLASS, temporary=tmp_path) if "AOT" in word]


async def test_waiting_for_another_process_can_be_cancelled(
    tmp_path: Path, java_17: Path, downloads: list[str]
) -> None:
    with FileLock(tmp_path / "cache" / "lock"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await install_kafka(tmp_path / "cache", java_17, downloads.append)
        assert downloads == []
    assert await install_kafka(tmp_path / "cache", java_17, lambda _: None)


async def test_a_failed_aot_cache_is_tried_once_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    jar = tmp_path / "a.jar"
    program, told = KafkaProgram(Path("/bin/false"), (jar,)), list[str]()
    for _ in range(2):
        with caplog.at_level(logging.WARNING):
            assert await make_aot_cache(program, Java(Path("/bin/false"), ""), told.append) is None
    failed = _only_file(tmp_path)
    assert "could not format" in failed.read_text()
    assert [str(failed) in record.message for record in caplog.records] == [True, True]
    assert len(told) == 1


@pytest.mark.integration
async def test_java_accepts_the_aot_cache_that_was_made(tmp_path: Path, cache: Path) -> None:
    program = await install_kafka(cache, None, lambda _: None)
    assert program.aot_cache is not None
    # With this mode Java ends at once if it cannot use the cache; Kafka ends too, for want of settings.
    command = program.command(BROKER_CLASS, temporary=tmp_path, flags=("-XX:AOTMode=on",))
    output = tmp_path / "output"
    await run_child(command, folder=tmp_path, output=output, timeout_s=30)
    printed = output.read_text()
    assert "USAGE: java [options] kafka.Kafka" in printed
    assert "warning" not in printed


def _only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path
