"""How far each topic of a partition is compared, beside a ledger that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.audit.tables import DECISIONS, LOG
from shieldx.credits.tables import COMMANDS, RESULTS
from shieldx.engine.log import TopicPartition
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from shieldx.books.topics import Topics

AUDIT = "audit"


class Settled(NamedTuple):
    """What was settled before anything else was read: whatever it led to is in every topic."""

    results: int
    """The offset behind the results that were committed."""
    position: int
    """The ledger's next offset in its commands."""


class Ends(NamedTuple):
    """Offsets of one partition, taken in such an order that nothing is compared with what was read too early.

    A transaction shows in one topic a moment before the other. So what must be everywhere is settled first, the
    outputs' ends come next, and the commands' end last: it is behind every command that any output speaks of.
    """

    partition: int
    position: int
    results_settled: int
    appended: int
    """The audit agent's next offset in its appends."""
    log: int
    appends_start: int
    """Where appends begin that are not in the log: the position, or what retention has left."""
    appends: int
    letters_first: int
    letters: int
    results_first: int
    results: int
    commands_first: int
    commands: int


async def settled(topics: Topics, agent: str, partition: int) -> Settled:
    """What is settled now."""
    results = await topics.bounds(TopicPartition(RESULTS, partition))
    return Settled(results.committed, await topics.position(agent, TopicPartition(COMMANDS, partition)))


async def ends(topics: Topics, partition: int, before: Settled) -> Ends:
    """The ends as they are now."""
    appended = await topics.position(AUDIT, TopicPartition(DECISIONS, partition))
    log = await topics.bounds(TopicPartition(LOG, partition))
    appends = await topics.bounds(TopicPartition(DECISIONS, partition))
    letters = await topics.bounds(TopicPartition(DEAD_LETTERS, partition))
    results = await topics.bounds(TopicPartition(RESULTS, partition))
    commands = await topics.bounds(TopicPartition(COMMANDS, partition))
    return Ends(
        partition,
        before.position,
        before.results,
        appended,
        log.end,
        max(appended, appends.first),
        appends.end,
        letters.first,
        letters.end,
        results.first,
        results.end,
        commands.first,
        commands.committed,
    )
