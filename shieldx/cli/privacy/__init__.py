"""`shieldx privacy`: commands for personal data."""

from __future__ import annotations

import click

from shieldx.cli.lazy_group import CommandEntry, LazyGroup

COMMANDS = {
    "fields": CommandEntry("fields", "List every field: personal, secret or neither, and how long it lives."),
}


@click.group(cls=LazyGroup, package="shieldx.cli.privacy", table=COMMANDS)
def command() -> None:
    """Work with personal data."""
