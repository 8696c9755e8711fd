"""`shieldx schemas`: JSON Schema of every message."""

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
@click.option("--write", is_flag=True, help="Write schemas/ beside topics/, unless one would break old records.")
def command(names: tuple[str, ...], *, write: bool) -> None:
    """Print the schemas of messages (credits.consume/1), of all without a name.

    They are made from the Python types that the manifests in topics/ declare.
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
            raise FixConfiguration(f"no manifest declares message {name!r}; there are: {', '.join(sorted(generated))}")
        click.echo(schemas.encode(generated[name]).decode(), nl=False)
