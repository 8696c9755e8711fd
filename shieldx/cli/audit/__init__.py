"""`shieldx audit`: commands for the audit log."""

from __future__ import annotations

import click

from shieldx.cli.lazy_group import CommandEntry, LazyGroup

COMMANDS = {
    "verify": CommandEntry("verify", "Verify every chain, signature and head of the log."),
    "tail": CommandEntry("tail", "Print the last entries; with --follow also new ones."),
    "show": CommandEntry("show", "Print one entry with all its fields."),
    "search": CommandEntry("search", "Find entries by tenant, actor, action and time."),
    "export": CommandEntry("export", "Export entries to a file that can be verified independently."),
    "heads": CommandEntry("heads", "Print the signed head of every shard for safekeeping."),
    "append": CommandEntry("append", "Append one entry."),
    "rotate": CommandEntry("rotate", "Sign with another key from now on."),
    "keys": CommandEntry("keys", "Create a keyring, or add a key to one."),
}


@click.group(cls=LazyGroup, package="shieldx.cli.audit", table=COMMANDS)
def command() -> None:
    """Work with the audit log, whose entries are hashed, chained and signed so that alterations are detected."""
