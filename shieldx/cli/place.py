"""A record's place in the log, written topic/partition/offset."""

from __future__ import annotations

from typing import NamedTuple

import click


class Place(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class PlaceType(click.ParamType):
    """A place as a command's argument."""

    name = "place"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        """Read a place."""
        topic, _, numbers = str(value).partition("/")
        partition, _, offset = numbers.partition("/")
        if not (topic and partition.isdecimal() and offset.isdecimal()):
            self.fail(f"{value!r} is no topic/partition/offset, as in credits.commands/3/17", param, ctx)
        return Place(topic, int(partition), int(offset))
