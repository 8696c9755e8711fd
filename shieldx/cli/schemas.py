"""`shieldx schemas`: prints the JSON Schema of messages."""

from __future__ import annotations

import os

import click

from shieldx.bootstrap.home import home
from shieldx.engine.declarations.manifests import load_manifests
from shieldx.engine.topics import schemas
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings


@click.command()
@click.argument("names", metavar="[NAME…]", nargs=-1)
@click.option("--write", is_flag=True, help="Write schemas/ next to topics/, unless a change would break old records.")
def command(names: tuple[str, ...], *, write: bool) -> None:
    """Print the schemas of the named messages (such as credits.consume/1), or of all messages.

    They are generated from the Python types that the manifests in topics/ declare.
    """
    folder = home(load_settings(os.environ))
    topics = load_manifests(folder / "topics")
    if write:
        for name in schemas.write(topics, folder / "schemas"):
            click.echo(f"wrote schemas/{name}")
        return
    generated = schemas.generate(topics)
    for name in names or sorted(generated):
        if name not in generated:
            raise FixConfiguration(f"no manifest declares message {name!r}; available: {', '.join(sorted(generated))}")
        click.echo(schemas.encode(generated[name]).decode(), nl=False)
