"""`shieldx down`: stops the stack that another process runs."""

from __future__ import annotations

import os
import signal
from time import monotonic, sleep
from typing import TYPE_CHECKING

import click

from shieldx.cli.running_stack import holder_pid, running_pid, withdraw
from shieldx.cli.stdout import say
from shieldx.errors import ShieldXError
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.settings import Settings

POLL_S = 0.05
STOP_S = 40.0
"""Workers take at most 10 s, and the broker is killed after another 10 s."""


class StopProcess(ShieldXError):
    """A process did not stop when it was told to.

    End it with `kill -9` and the process id in the message.
    """


@click.command()
def command() -> None:
    """Stop the `shieldx up` of SHIELDX_STACK_FOLDER, and return when all of it has stopped."""
    settings = load_settings(os.environ)
    pid = running_pid(settings)
    if pid is None:
        withdraw(settings)  # left behind by a killed one
        say(f"nothing is running in {settings.stack_folder}")
        return
    os.kill(pid, signal.SIGTERM)
    _wait_until_free(settings, pid)
    say(f"stopped process {pid}")


def _wait_until_free(settings: Settings, pid: int) -> None:
    deadline_s = monotonic() + STOP_S
    while holder_pid(settings) == pid:
        if monotonic() > deadline_s:
            raise StopProcess(f"process {pid} did not stop within {STOP_S:.0f} s; end it with `kill -9 {pid}`")
        sleep(POLL_S)
