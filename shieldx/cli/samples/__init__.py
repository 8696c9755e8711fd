"""`shieldx samples`: sets of labelled requests for evaluations."""

from __future__ import annotations

import click

from shieldx.cli.lazy_group import Entry, LazyGroup

COMMANDS = {
    "import": Entry("importing", "Create a version of a set from test and traffic files."),
    "list": Entry("listing", "List a tenant's sets and their versions."),
    "show": Entry("show", "List the samples of a set, or print one completely."),
}


@click.group(cls=LazyGroup, package="shieldx.cli.samples", table=COMMANDS)
def command() -> None:
    """Manage sets of labelled requests for evaluations. The version of a set is a hash of its content."""
