"""A command group that imports each command only when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Mapping


class Entry(NamedTuple):
    """A command's module, which defines it as `command`, and its line in `--help`."""

    module: str
    about: str


class LazyGroup(click.Group):
    """The commands of a table. `--help` uses the table, so that it imports none of them."""

    def __init__(self, *args: Any, package: str, table: Mapping[str, Entry], **options: Any) -> None:
        """Take click's arguments and the table of commands, whose modules are in `package`."""
        super().__init__(*args, **options)
        self._package = package
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The command names in the order of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        """Import a command."""
        if cmd_name not in self._table:
            return None
        command = import_module(f"{self._package}.{self._table[cmd_name].module}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - likewise
        """Write the table for `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.about) for name, entry in self._table.items()])
