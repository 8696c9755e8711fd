"""Reads dead letters from their topic.

A dead letter's key is the place of its record. A later record with that key and no value marks it as replayed:
idempotency keys are remembered for only 24 h, so a command replayed twice could be executed twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.cli.committed_records import committed_consumer, committed_records, partitions_of
from shieldx.cli.record_place import RecordPlace
from shieldx.cli.stdout import say
from shieldx.engine.tasks.codec import DECODE_ERRORS
from shieldx.errors import ShieldXError
from shieldx.messages import DEAD_LETTERS, DeadLetter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shieldx.bootstrap.platform import Platform


class ListDeadLetters(ShieldXError):
    """The dead letter does not exist.

    Choose a place that `shieldx dead-letters list` shows.
    """


class Letter(msgspec.Struct, frozen=True):
    """A dead letter, and whether its record has been replayed since."""

    place: RecordPlace
    content: DeadLetter
    replayed: bool


async def read_letters(platform: Platform, partition: int | None = None) -> list[Letter]:
    """The dead letters of one or all partitions, oldest first."""
    count = await partitions_of(platform, DEAD_LETTERS)
    numbers = range(count) if partition is None else [number for number in range(count) if number == partition]
    contents: list[DeadLetter] = []
    replayed: set[bytes] = set()
    async with committed_consumer(platform) as consumer:
        async for record in committed_records(consumer, DEAD_LETTERS, numbers):
            if record.value is None:
                replayed.add(record.key or b"")
                continue
            try:
                contents.append(msgspec.json.decode(record.value, type=DeadLetter))
            except DECODE_ERRORS as error:
                say(f"{record.topic}/{record.partition}/{record.offset} is not a dead letter: {error}")
    letters = [_letter(content, replayed) for content in contents]
    return sorted(letters, key=lambda letter: letter.content.at)


async def find_letters(platform: Platform, places: Iterable[RecordPlace]) -> list[Letter]:
    """The dead letters about the records at some places, in that order.

    Raises:
        ListDeadLetters: One of the records has no dead letter.
    """
    found = []
    for place in places:
        of_place = [letter for letter in await read_letters(platform, place.partition) if letter.place == place]
        if not of_place:
            raise ListDeadLetters(f"{place} has no dead letter; run `shieldx dead-letters list` to see all")
        found += of_place
    return found


def _letter(content: DeadLetter, replayed: set[bytes]) -> Letter:
    source = content.source
    place = RecordPlace(source.topic, source.partition, source.offset)
    return Letter(place, content, str(place).encode() in replayed)
