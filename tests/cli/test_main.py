from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import click
import pytest

from shieldx.cli.main import COMMANDS, main
from shieldx.dev.stack_error import StackError
from shieldx.errors import FixConfiguration, ShieldXError
from shieldx.keyring.keyring import MissingKey
from tests import programs

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

HEAVY = ("aiokafka", "rich", "prometheus_client", "shieldx.bootstrap")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(shieldx: Callable[..., Result], name: str) -> None:
    result = shieldx(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")


def test_help_names_every_command_and_imports_none() -> None:
    program = f"""
import sys
from shieldx.cli.main import main
main(["--help"], standalone_mode=False)
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = programs.run_python(program, check=True)
    assert done.stdout.endswith("[]\n")
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_the_version_is_the_packages(shieldx: Callable[..., Result]) -> None:
    assert version("shieldx") in shieldx("--version").stdout


def test_an_unknown_command_is_a_usage_error(shieldx: Callable[..., Result]) -> None:
    result = shieldx("upp")
    assert result.exit_code == 2
    assert "No such command 'upp'" in result.stderr


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (FixConfiguration("set it"), 2, "Error: set it\n"),
        (ShieldXError("try it"), 1, "Error: try it\n"),
        (StackError("free it"), 1, "Error: free it\n"),
        (MissingKey("add it"), 2, "Error: add it\n"),
        (KeyboardInterrupt(), 130, ""),
        (click.Abort(), 130, ""),
    ],
)
def test_errors_end_as_a_message_and_an_exit_code(
    shieldx: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    exit_code: int,
    message: str,
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(main, "get_command", lambda _ctx, name: click.Command(name, callback=fail))
    result = shieldx("up")
    assert (result.exit_code, result.stdout, result.stderr) == (exit_code, "", message)


@pytest.mark.parametrize(
    "arguments", [["status"], ["topics", "list"], ["results"], ["dead-letters", "list"], ["worker", "credits"]]
)
def test_without_kafka_a_command_names_the_remedy(shieldx: Callable[..., Result], arguments: list[str]) -> None:
    result = shieldx(*arguments)
    assert result.exit_code == 2
    assert "Run `shieldx up`, or set SHIELDX_KAFKA_BOOTSTRAP" in result.stderr
    assert result.stdout == ""


def test_a_wrong_setting_is_named(shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIELDX_PARTITIONS", "many")
    result = shieldx("config")
    assert result.exit_code == 2
    assert "SHIELDX_PARTITIONS" in result.stderr
