"""A record's place in the log, written topic/partition/offset."""

from __future__ import annotations

from typing import NamedTuple

import click


class RecordPlace(NamedTuple):
    """Topic, partition and offset of a record."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class RecordPlaceType(click.ParamType):
    """A record's place as a command argument."""

    name = "place"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> RecordPlace:
        """Parse a place."""
        topic, _, numbers = str(value).partition("/")
        partition, _, offset = numbers.partition("/")
        if not (topic and partition.isdecimal() and offset.isdecimal()):
            self.fail(
                f"{value!r} is not a place of the form topic/partition/offset, such as credits.commands/3/17",
                param,
                ctx,
            )
        return RecordPlace(topic, int(partition), int(offset))
