"""Dead letters as they stand in their topic.

A letter's key is the place of the record that was set aside. A later record of that key without a value says that
it was replayed: keys are remembered for 24 h only, so a command replayed twice could be executed twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.cli.committed_records import committed_consumer, committed_records, partitions_of
from shieldx.cli.place import Place
from shieldx.cli.stdout import say
from shieldx.errors import ShieldXError
from shieldx.messages import DEAD_LETTERS, DeadLetter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shieldx.bootstrap.platform import Platform


class ListDeadLetters(ShieldXError):
    """No such letter; `shieldx dead-letters list` says which there are."""


class Letter(msgspec.Struct, frozen=True):
    """A letter, and whether what it is about was replayed since."""

    place: Place
    content: DeadLetter
    replayed: bool


async def read_letters(platform: Platform, partition: int | None = None) -> list[Letter]:
    """The letters of all partitions or one, the oldest first."""
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
            except msgspec.MsgspecError as error:
                say(f"{record.topic}/{record.partition}/{record.offset} is no dead letter: {error}")
    letters = [_letter(content, replayed) for content in contents]
    return sorted(letters, key=lambda letter: letter.content.at)


async def find_letters(platform: Platform, places: Iterable[Place]) -> list[Letter]:
    """The letters about the records at some places, in their order.

    Raises:
        ListDeadLetters: there is none about one of them.
    """
    found = []
    for place in places:
        of_place = [letter for letter in await read_letters(platform, place.partition) if letter.place == place]
        if not of_place:
            raise ListDeadLetters(f"no dead letter is about {place}; `shieldx dead-letters list` says which there are")
        found += of_place
    return found


def _letter(content: DeadLetter, replayed: set[bytes]) -> Letter:
    source = content.source
    place = Place(source.topic, source.partition, source.offset)
    return Letter(place, content, str(place).encode() in replayed)
