"""`shieldx privacy`: commands for personal data and its keys."""

from __future__ import annotations

import click

from shieldx.cli.lazy_group import CommandEntry, LazyGroup

COMMANDS = {
    "fields": CommandEntry("fields", "List every field: personal, secret or neither, and how long it lives."),
    "keys": CommandEntry("keys", "Create a privacy keyring, or add a key to one."),
}


@click.group(cls=LazyGroup, package="shieldx.cli.privacy", table=COMMANDS)
def command() -> None:
    """Work with personal data, which is sealed with keys of the subjects that can be erased."""
