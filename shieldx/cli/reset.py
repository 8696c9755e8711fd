"""`shieldx reset`: delete the embedded stack's data."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

from shieldx.cli.running_stack import holder_pid, stack_lock, withdraw
from shieldx.cli.stdout import say
from shieldx.engine.errors import FixConfiguration
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

KAFKA_FOLDER = "kafka"
"""Where the stack keeps its broker. Nothing else is deleted: the stack folder may be any folder."""


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(*, yes: bool) -> None:
    """Delete the data of the stack in SHIELDX_STACK_FOLDER: every topic, record and committed position."""
    settings = load_settings(os.environ)
    data = settings.stack_folder / KAFKA_FOLDER
    pid = holder_pid(settings)
    if pid is not None:
        raise FixConfiguration(f"process {pid or 'unknown'} runs the stack; stop it with `shieldx down` first")
    if not data.exists():
        say(f"nothing to delete in {settings.stack_folder}")
        return
    if not (yes or _confirmed(data)):
        say("nothing was deleted")
        return
    with stack_lock(settings):
        withdraw(settings)
        shutil.rmtree(data)
    say(f"deleted {data}")


def _confirmed(data: Path) -> bool:
    if not sys.stdin.isatty():
        raise FixConfiguration(f"{data} would be deleted and there is no terminal to ask at; say --yes")
    return click.confirm(f"Delete {data} with every topic in it?", err=True)
