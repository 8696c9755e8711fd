"""`shieldx audit`: what there is to do with the audit log."""

from __future__ import annotations

import click

from shieldx.cli.lazy_group import Entry, LazyGroup

COMMANDS = {
    "verify": Entry("verify", "Say whether the log is whole: every chain, every signature, every head."),
    "tail": Entry("tail", "Print the last entries, and with --follow those to come."),
    "show": Entry("show", "Print one entry, whole."),
    "search": Entry("search", "Find entries by tenant, actor, action and time."),
    "export": Entry("export", "Write entries to a file that can be verified by itself."),
    "heads": Entry("heads", "Print the signed head of every shard, to be kept elsewhere."),
    "append": Entry("append", "Append one entry."),
    "rotate": Entry("rotate", "Have another key sign from now on."),
    "keys": Entry("keys", "Make a keyring, or add a key to it."),
}


@click.group(cls=LazyGroup, package="shieldx.cli.audit", table=COMMANDS)
def command() -> None:
    """The audit log: entries that are chained by hash and signed, so that nobody alters one unnoticed."""
