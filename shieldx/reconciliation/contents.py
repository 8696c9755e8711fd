"""Reads what the ledger, and the audit agent after it, have written to their topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit.tables import DECISIONS, LOG
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from shieldx.engine.tasks.log import TopicPartition
from shieldx.messages import DEAD_LETTERS
from shieldx.reconciliation.alignment import Found, Unreadable
from shieldx.reconciliation.readings import LEDGER, LetterRead, LoggedEntry, decoded, entry_of, read_append
from shieldx.reconciliation.sums import read_result

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from shieldx.engine.tasks.log import Record
    from shieldx.reconciliation.ends import Ends
    from shieldx.reconciliation.sums import Sums
    from shieldx.reconciliation.topics import Topics

_logged = msgspec.json.Decoder(LoggedEntry).decode
_letter = msgspec.json.Decoder(LetterRead).decode


async def results(topics: Topics, ends: Ends, start: int, sums: Sums) -> AsyncGenerator[Sequence[Found], None]:
    """Yield the results of a partition from `start` on, and add each to the sums."""
    async for records in topics.read(TopicPartition(RESULTS, ends.partition), start, ends.results.end):
        for record in records:
            result = decoded(read_result, record.value)
            if not isinstance(result, Unreadable):
                sums.take(result, record.offset)
        yield [Found(record.value, RESULTS, record.offset) for record in records]


async def entries(topics: Topics, ends: Ends, start: int = 0) -> AsyncGenerator[Sequence[Found], None]:
    """Yield the ledger's entries in the log, then the appends that the audit agent has not processed.

    Entries of appends that it processed meanwhile are skipped, because those appends are yielded too.
    """
    async for records in topics.read(TopicPartition(LOG, ends.partition), start, ends.log.end):
        logged = [(decoded(_logged, record.value), record.offset) for record in records]
        yield [
            Found(entry if isinstance(entry, Unreadable) else entry.entry(), LOG, offset)
            for entry, offset in logged
            if isinstance(entry, Unreadable) or (entry.action.startswith(LEDGER) and _asked_before(entry, ends))
        ]
    async for records in topics.read(
        TopicPartition(DECISIONS, ends.partition), max(ends.appended, ends.appends.first), ends.appends.end
    ):
        appended = [(decoded(read_append, record.value), record.offset) for record in records]
        yield [
            Found(entry_of(append), DECISIONS, offset, pending=True)
            for append, offset in appended
            if not isinstance(append, Unreadable) and append.action.startswith(LEDGER)
        ]


async def letters(topics: Topics, ends: Ends) -> AsyncGenerator[Sequence[Found], None]:
    """Yield the dead letters of commands."""
    async for records in topics.read(TopicPartition(DEAD_LETTERS, ends.partition), 0, ends.letters.end):
        yield [Found(record.value, DEAD_LETTERS, record.offset) for record in records if _of_a_command(record)]


def _of_a_command(record: Record) -> bool:
    if record.value is None:
        return False  # marks a dead letter that was replayed
    letter = decoded(_letter, record.value)
    return isinstance(letter, Unreadable) or letter.source.topic == COMMANDS


def _asked_before(entry: LoggedEntry, ends: Ends) -> bool:
    """Whether the entry's append was below the audit agent's position when the position was read."""
    offset = entry.input.rpartition("/")[2]
    return not offset.isdigit() or int(offset) < ends.appended
