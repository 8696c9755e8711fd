"""The lock file: its content, and what is rejected."""

from pathlib import Path

import pytest

from shieldx.dev.jar_lock import RegenerateTheJarLock, read_jar_lock

_A = "a" * 64
_B = "b" * 64


def _lock(folder: Path, text: str) -> Path:
    path = folder / "some.lock"
    path.write_text(text)
    return path


def test_a_line_is_a_hash_and_a_coordinate(tmp_path: Path) -> None:
    text = f"{_A}  org.example:thing_2.13:1.0-2\n{_B}  org.example:other:2\n"
    lock = read_jar_lock(_lock(tmp_path, text))
    assert [jar.sha256 for jar in lock.jars] == [_A, _B]
    assert [jar.coordinate for jar in lock.jars] == ["org.example:thing_2.13:1.0-2", "org.example:other:2"]
    assert lock.jars[0].file_name == "thing_2.13-1.0-2.jar"
    assert lock.text == text


def test_the_digest_changes_with_a_hash(tmp_path: Path) -> None:
    one = read_jar_lock(_lock(tmp_path, f"{_A}  g:a:1\n")).digest
    other = read_jar_lock(_lock(tmp_path, f"{_B}  g:a:1\n")).digest
    assert one != other


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{_A[1:]}  g:a:1\n",
        f"{_A.upper()}  g:a:1\n",
        f"{_A} g:a:1\n",
        f"{_A}  g:a\n",
        f"{_A}  g:../../a:1\n",
        f"{_A}  g:a:1\n\n{_B}  g:b:1\n",
        f"{_A}  g:a:1\n{_B}  h:a:1\n",
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RegenerateTheJarLock):
        read_jar_lock(_lock(tmp_path, text))


def test_a_missing_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegenerateTheJarLock, match=r"none\.lock"):
        read_jar_lock(tmp_path / "none.lock")


def test_the_committed_lock_is_all_of_one_kafka_and_one_log4j() -> None:
    jars = read_jar_lock().jars
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {"4.3.1"}
    assert len({jar.version for jar in jars if jar.group == "org.apache.logging.log4j"}) == 1
    assert {"kafka_2.13", "kafka-clients", "log4j-slf4j-impl"} <= {jar.artifact for jar in jars}
