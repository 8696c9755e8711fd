"""What stands in the topics that the ledger, and the audit log after it, have written."""

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
    """The results of a partition from one offset on; each is added to the sums as it is read."""
    async for records in topics.read(TopicPartition(RESULTS, ends.partition), start, ends.results.end):
        for record in records:
            result = decoded(read_result, record.value)
            if not isinstance(result, Unreadable):
                sums.take(result, record.offset)
        yield [Found(record.value, RESULTS, record.offset) for record in records]


async def entries(topics: Topics, ends: Ends, start: int = 0) -> AsyncGenerator[Sequence[Found], None]:
    """The ledger's entries in the log, and behind them the appends that the audit agent has not come to.

    Entries of what it came to meanwhile are passed over: they are among those appends.
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
    """The dead letters of commands."""
    async for records in topics.read(TopicPartition(DEAD_LETTERS, ends.partition), 0, ends.letters.end):
        yield [Found(record.value, DEAD_LETTERS, record.offset) for record in records if _of_a_command(record)]


def _of_a_command(record: Record) -> bool:
    if record.value is None:
        return False  # the mark of a letter whose record was sent again
    letter = decoded(_letter, record.value)
    return isinstance(letter, Unreadable) or letter.source.topic == COMMANDS


def _asked_before(entry: LoggedEntry, ends: Ends) -> bool:
    """Whether an append led to it that the audit agent had taken when its position was read."""
    offset = entry.input.rpartition("/")[2]
    return not offset.isdigit() or int(offset) < ends.appended
