"""`shieldx rule`: detection rules, every version of each."""

from __future__ import annotations

import click

from shieldx.cli.lazy_group import Entry, LazyGroup

COMMANDS = {
    "put": Entry("put", "Make a rule's next version from a file."),
    "list": Entry("listing", "List the rules of a tenant, or the versions of one."),
    "show": Entry("show", "Print a version of a rule."),
    "diff": Entry("diff", "Print what differs between two versions."),
    "rollback": Entry("rollback", "Make an earlier version's content the next version."),
    "import": Entry("importing", "Put the rules of the OWASP Core Rule Set."),
}


@click.group(cls=LazyGroup, package="shieldx.cli.rule", table=COMMANDS)
def command() -> None:
    """Detection rules, every version of each. None is ever altered; what they say is in docs/reference/rules.md."""
