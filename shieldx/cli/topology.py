"""`shieldx topology`: draws agents and topics from their declarations."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, TextIO

import click

from shieldx.bootstrap.declared import declared
from shieldx.settings import load_settings
from shieldx.topology.graph import draw_up
from shieldx.topology.mermaid import mermaid
from shieldx.topology.svg import svg
from shieldx.topology.text import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.topology.graph import Graph

DRAWINGS: dict[str, Callable[[Graph], str]] = {"text": text, "mermaid": mermaid, "svg": svg}


@click.command()
@click.option(
    "--format", "form", type=click.Choice(list(DRAWINGS)), default="text", show_default=True, help="The output format."
)
@click.option(
    "-o",
    "--output",
    type=click.File("w", encoding="utf-8", lazy=True, atomic=True),
    metavar="FILE",
    default="-",
    help="Write to this file instead of stdout.",
)
def command(form: Literal["text", "mermaid", "svg"], output: TextIO) -> None:
    """Draw which agent reads, writes and keeps which topic, according to agents/ and topics/. Does not need Kafka."""
    known = declared(load_settings(os.environ))
    graph = draw_up(known.agents.values(), known.topics)
    output.write(DRAWINGS[form](graph))
