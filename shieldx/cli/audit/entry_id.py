"""An entry's id, written shard/sequence."""

from __future__ import annotations

from typing import NamedTuple

import click

LAST_SHARD = 2**31 - 1
LAST_SEQUENCE = 2**53 - 1
"""The largest sequence that docs/reference/audit-format.md allows."""


class EntryId(NamedTuple):
    """The shard and sequence of an entry."""

    shard: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.shard}/{self.sequence}"


class EntryIdType(click.ParamType):
    """An entry's id as a command argument."""

    name = "shard/sequence"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> EntryId:
        """Parse an entry id."""
        shard, _, sequence = str(value).partition("/")
        if not (_is_number(shard, LAST_SHARD) and _is_number(sequence, LAST_SEQUENCE)):
            self.fail(f"{value!r} is not an entry id of the form shard/sequence, such as 3/17", param, ctx)
        return EntryId(int(shard), int(sequence))


def _is_number(text: str, most: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and int(text) <= most
