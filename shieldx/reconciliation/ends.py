"""How far each topic of a partition is compared, beside a ledger that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.domains.audit.tables import DECISIONS, LOG
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from shieldx.engine.tasks.log import TopicPartition
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from shieldx.reconciliation.topics import Bounds, Topics

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
    settled: Settled
    appended: int
    """The audit agent's next offset in its appends: those behind it are not in the log."""
    log: Bounds
    appends: Bounds
    letters: Bounds
    results: Bounds
    commands: Bounds


async def settled(topics: Topics, agent: str, partition: int) -> Settled:
    """What is settled now."""
    results = await topics.bounds(TopicPartition(RESULTS, partition))
    return Settled(results.committed, await topics.position(agent, TopicPartition(COMMANDS, partition)))


async def ends(topics: Topics, partition: int, before: Settled) -> Ends:
    """The ends as they are now."""
    appended = await topics.position(AUDIT, TopicPartition(DECISIONS, partition))
    order = (LOG, DECISIONS, DEAD_LETTERS, RESULTS, COMMANDS)  # that of the fields of `Ends`
    return Ends(
        partition, before, appended, *[await topics.bounds(TopicPartition(topic, partition)) for topic in order]
    )
