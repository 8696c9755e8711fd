"""An entry's name, written shard/sequence."""

from __future__ import annotations

from typing import NamedTuple

import click

LAST_SHARD = 2**31 - 1
LAST_SEQUENCE = 2**53 - 1
"""docs/reference/audit-format.md has no greater ones."""


class EntryId(NamedTuple):
    """Which entry."""

    shard: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.shard}/{self.sequence}"


class EntryIdType(click.ParamType):
    """An entry as a command's argument."""

    name = "shard/sequence"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> EntryId:
        """Read a name."""
        shard, _, sequence = str(value).partition("/")
        if not (_is_number(shard, LAST_SHARD) and _is_number(sequence, LAST_SEQUENCE)):
            self.fail(f"{value!r} is no shard/sequence, as in 3/17", param, ctx)
        return EntryId(int(shard), int(sequence))


def _is_number(text: str, most: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and int(text) <= most
