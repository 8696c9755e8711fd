"""`shieldx privacy keys`: creates files of key-encryption keys and adds keys to them."""

from __future__ import annotations

from pathlib import Path

import click

from shieldx.cli.stdout import printable, say
from shieldx.keyring.file import add_key, new_keyring, random_id
from shieldx.privacy.subjects import SUBJECTS

_file = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def command() -> None:
    """Create a privacy keyring, or add a key to one. Secrets are never printed."""


@command.command()
@_file
@click.option("--id", "key_id", metavar="ID", help="Id of its first key-encryption key. Default: random.")
def new(*, file: Path, key_id: str | None) -> None:
    """Create FILE, a keyring that only you can read, and print the id of its first key.

    The keyring also gets the key `subjects`, which makes the pseudonyms of subjects. An existing file is never changed.
    """
    key_id = key_id or random_id("kek")
    new_keyring(file, key_id, [SUBJECTS])
    click.echo(printable(key_id))
    say(f"created {file}. Keep a copy: without its keys nobody can open what was sealed")


@command.command()
@_file
@click.option("--id", "key_id", metavar="ID", required=True, help="Id of the new key.")
def add(*, file: Path, key_id: str) -> None:
    """Add a random key-encryption key to the keyring FILE. It wraps nothing until it is `first` in the file."""
    add_key(file, key_id)
    say(
        f"added key {printable(key_id)!r} to {file}. Restart every producer and reader with this file; then make the "
        "key `first` in it, and restart them again"
    )
