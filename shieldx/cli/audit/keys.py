"""`shieldx audit keys`: keyrings in files, made and added to."""

from __future__ import annotations

from pathlib import Path

import click

from shieldx.cli.stdout import printable, say
from shieldx.keyring.file import add_key, new_keyring, random_id

_file = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def command() -> None:
    """Make a keyring, or add a key to it. No secret is ever printed."""


@command.command()
@_file
@click.option("--id", "key_id", metavar="ID", help="Of its first key. Default: a random one.")
def new(*, file: Path, key_id: str | None) -> None:
    """Make FILE, a keyring with one random key, for your eyes alone, and print the key's id.

    A file that exists is left as it is.
    """
    key_id = key_id or random_id("key")
    new_keyring(file, key_id)
    click.echo(printable(key_id))
    say(f"{file} has its first key. Keep a copy: without its keys nothing that they signed can be verified")


@command.command()
@_file
@click.option("--id", "key_id", metavar="ID", required=True, help="Of the new key.")
def add(*, file: Path, key_id: str) -> None:
    """Add a random key to the keyring FILE. It signs nothing until `shieldx audit rotate` says so."""
    add_key(file, key_id)
    say(
        f"{file} has a new key {printable(key_id)!r}. Start the audit agents anew with it; then "
        "`shieldx audit rotate` has it sign"
    )
