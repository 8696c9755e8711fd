"""`shieldx audit keys`: creates keyring files and adds keys to them."""

from __future__ import annotations

from pathlib import Path

import click

from shieldx.cli.stdout import printable, say
from shieldx.keyring.file import add_key, new_keyring, random_id

_file = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def command() -> None:
    """Create a keyring, or add a key to one. Secrets are never printed."""


@command.command()
@_file
@click.option("--id", "key_id", metavar="ID", help="Id of its first key. Default: random.")
def new(*, file: Path, key_id: str | None) -> None:
    """Create FILE, a keyring with one random key that only you can read, and print the key's id.

    An existing file is never changed.
    """
    key_id = key_id or random_id("key")
    new_keyring(file, key_id)
    click.echo(printable(key_id))
    say(f"created {file}. Keep a copy: without its keys, what they signed cannot be verified")


@command.command()
@_file
@click.option("--id", "key_id", metavar="ID", required=True, help="Id of the new key.")
def add(*, file: Path, key_id: str) -> None:
    """Add a random key to the keyring FILE. It signs nothing until `shieldx audit rotate` selects it."""
    add_key(file, key_id)
    say(
        f"added key {printable(key_id)!r} to {file}. Restart the audit agents with this file, then run "
        "`shieldx audit rotate` to sign with it"
    )
