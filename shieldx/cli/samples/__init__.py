"""`shieldx samples`: labelled requests that rules are judged on, in sets."""

from __future__ import annotations

import click

from shieldx.cli.lazy_group import Entry, LazyGroup

COMMANDS = {
    "import": Entry("importing", "Make a version of a set from tests and traffic in files."),
    "list": Entry("listing", "List the sets of a tenant, every version of each."),
    "show": Entry("show", "Print what is known about the samples of a set, or one of them whole."),
}


@click.group(cls=LazyGroup, package="shieldx.cli.samples", table=COMMANDS)
def command() -> None:
    """Labelled requests that rules are judged on, in sets of which each version is named by its content."""
