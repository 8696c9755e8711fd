"""`shieldx audit`: commands for the audit log."""

from __future__ import annotations

import click

from shieldx.cli.lazy_group import Entry, LazyGroup

COMMANDS = {
    "verify": Entry("verify", "Verify every chain, signature and head of the log."),
    "tail": Entry("tail", "Print the last entries; with --follow also new ones."),
    "show": Entry("show", "Print one entry with all its fields."),
    "search": Entry("search", "Find entries by tenant, actor, action and time."),
    "export": Entry("export", "Export entries to a file that can be verified independently."),
    "heads": Entry("heads", "Print the signed head of every shard for safekeeping."),
    "append": Entry("append", "Append one entry."),
    "rotate": Entry("rotate", "Sign with another key from now on."),
    "keys": Entry("keys", "Create a keyring, or add a key to one."),
}


@click.group(cls=LazyGroup, package="shieldx.cli.audit", table=COMMANDS)
def command() -> None:
    """Work with the audit log, whose entries are hashed, chained and signed so that alterations are detected."""
