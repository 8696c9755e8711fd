"""`shieldx reset`: deletes the embedded stack's data."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

from shieldx.cli.running_stack import holder_pid, stack_lock, withdraw
from shieldx.cli.stdout import say
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DATA_FOLDERS = ("kafka", "postgres", "state")
"""The servers' data and the agents' state. Nothing else is deleted, since the folder may be any folder.

All or none: Postgres stores positions in topics, and would reject the topics of another Kafka.
"""


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def command(*, yes: bool) -> None:
    """Delete the data of the stack in SHIELDX_STACK_FOLDER: every topic, record and row."""
    settings = load_settings(os.environ)
    data = [path for name in DATA_FOLDERS if (path := settings.stack_folder / name).exists()]
    pid = holder_pid(settings)
    if pid is not None:
        raise FixConfiguration(f"process {pid or 'unknown'} is running the stack; stop it with `shieldx down` first")
    if not data:
        say(f"nothing to delete in {settings.stack_folder}")
        return
    if not (yes or _confirmed(data)):
        say("nothing was deleted")
        return
    with stack_lock(settings):
        withdraw(settings)
        for path in data:
            shutil.rmtree(path)
    say(f"deleted {_listed(data)}")


def _confirmed(data: Sequence[Path]) -> bool:
    if not sys.stdin.isatty():
        raise FixConfiguration(f"this would delete {_listed(data)}; use --yes to confirm without a terminal")
    return click.confirm(f"Delete {_listed(data)} with all topics and rows?", err=True)


def _listed(data: Sequence[Path]) -> str:
    return " and ".join(map(str, data))
