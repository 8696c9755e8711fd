"""`shieldx rule`: detection rules and their versions."""

from __future__ import annotations

import click

from shieldx.cli.lazy_group import Entry, LazyGroup

COMMANDS = {
    "put": Entry("put", "Create a rule's next version from a file."),
    "list": Entry("listing", "List the rules of a tenant, or the versions of one."),
    "show": Entry("show", "Print a version of a rule."),
    "diff": Entry("diff", "Print the differences between two versions."),
    "rollback": Entry("rollback", "Restore an earlier version as the next version."),
    "import": Entry("importing", "Import the rules of the OWASP Core Rule Set."),
}


@click.group(cls=LazyGroup, package="shieldx.cli.rule", table=COMMANDS)
def command() -> None:
    """Manage detection rules. Versions never change; docs/reference/rules.md describes the content of rules."""
