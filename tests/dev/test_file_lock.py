"""A lock has a single holder, whose process id is known."""

import os
from pathlib import Path

import pytest

from shieldx.dev.file_lock import FileLock, StopTheOtherProcess


def test_a_second_holder_is_refused_and_learns_the_first_holders_id(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    with FileLock(path), pytest.raises(StopTheOtherProcess) as caught:
        FileLock(path).acquire()
    assert caught.value.holder_pid == os.getpid()
    assert str(tmp_path / "folder") in str(caught.value)


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    lock.acquire()
    lock.release()
    lock.release()
    with FileLock(tmp_path / "lock"):
        pass


def test_a_refused_holder_does_not_release_the_first(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"):
        for _ in range(2):
            with pytest.raises(StopTheOtherProcess):
                FileLock(tmp_path / "lock").acquire()
