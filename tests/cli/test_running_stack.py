from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from shieldx.bootstrap.stack_file import StackFile, read_stack_file
from shieldx.cli.running_stack import holder_pid, publish, running_pid, stack_lock, withdraw
from shieldx.errors import FixConfiguration
from shieldx.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

STACK = StackFile("127.0.0.1:9092", 3, os.getpid(), "127.0.0.1:8080")


@pytest.fixture
def settings(stack_folder: Path) -> Settings:
    return Settings(stack_folder=stack_folder)


def test_stack_json_is_published_read_and_withdrawn(settings: Settings) -> None:
    with stack_lock(settings):
        publish(settings, STACK)
        assert read_stack_file(settings) == STACK
        assert sorted(path.name for path in settings.stack_folder.iterdir()) == ["lock", "stack.json"]
        withdraw(settings)
    assert read_stack_file(settings) is None


def test_only_the_holder_of_the_folder_is_running(settings: Settings) -> None:
    assert holder_pid(settings) is None
    assert not settings.stack_folder.exists()  # asking leaves nothing behind
    with stack_lock(settings):
        with pytest.raises(FixConfiguration, match=f"held by process {os.getpid()}, which is not a ready"):
            running_pid(settings)
        publish(settings, STACK)
        assert running_pid(settings) == os.getpid()
    assert running_pid(settings) is None


def test_down_leaves_a_process_alone_that_stack_json_does_not_name(
    shieldx: Callable[..., Result], settings: Settings
) -> None:
    with stack_lock(settings):
        publish(settings, StackFile("127.0.0.1:9092", 3, 1, "127.0.0.1:8080"))
        result = shieldx("down")
    assert result.exit_code == 2
    assert f"held by process {os.getpid()}" in result.stderr


def test_down_forgets_a_stack_that_was_killed(shieldx: Callable[..., Result], settings: Settings) -> None:
    settings.stack_folder.mkdir()
    publish(settings, STACK)
    result = shieldx("down")
    assert (result.exit_code, result.stderr) == (0, f"nothing is running in {settings.stack_folder}\n")
    assert read_stack_file(settings) is None


def test_reset_refuses_while_the_stack_runs(shieldx: Callable[..., Result], settings: Settings) -> None:
    with stack_lock(settings):
        result = shieldx("reset", "--yes")
    assert result.exit_code == 2
    assert f"process {os.getpid()} is running the stack; stop it with `shieldx down` first" in result.stderr


def test_reset_asks_first_and_deletes_the_stacks_data_only(shieldx: Callable[..., Result], stack_folder: Path) -> None:
    (stack_folder / "kafka" / "data").mkdir(parents=True)
    (stack_folder / "postgres" / "data").mkdir(parents=True)
    (stack_folder / "letters.txt").write_text("mine")
    assert shieldx("reset").exit_code == 2  # no terminal to ask at
    assert (stack_folder / "kafka").exists()
    assert (stack_folder / "postgres").exists()
    assert shieldx("reset", "--yes").exit_code == 0
    assert sorted(path.name for path in stack_folder.iterdir()) == ["letters.txt", "lock"]
    assert "nothing to delete" in shieldx("reset", "--yes").stderr
