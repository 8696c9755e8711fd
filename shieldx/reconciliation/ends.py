"""Up to which offset each topic of a partition is compared, while the ledger may be running."""

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
    """What was settled before anything else was read. All its consequences are in every topic."""

    results: int
    """The end offset of the committed results."""
    position: int
    """The ledger's next offset in its commands."""


class Ends(NamedTuple):
    """End offsets of one partition, read in an order that prevents comparing with something read too early.

    A transaction becomes visible in one topic a moment before the other. So the offsets below which everything must be
    complete are read first, then the ends of the outputs, and last the end of the commands, which is after every
    command that an output refers to.
    """

    partition: int
    settled: Settled
    appended: int
    """The audit agent's next offset in its appends. Appends from there on are not in the log."""
    log: Bounds
    appends: Bounds
    letters: Bounds
    results: Bounds
    commands: Bounds


async def settled(topics: Topics, agent: str, partition: int) -> Settled:
    """Read what is settled now."""
    results = await topics.bounds(TopicPartition(RESULTS, partition))
    return Settled(results.committed, await topics.position(agent, TopicPartition(COMMANDS, partition)))


async def ends(topics: Topics, partition: int, before: Settled) -> Ends:
    """Read the current ends."""
    appended = await topics.position(AUDIT, TopicPartition(DECISIONS, partition))
    order = (LOG, DECISIONS, DEAD_LETTERS, RESULTS, COMMANDS)  # the order of the fields of `Ends`
    return Ends(
        partition, before, appended, *[await topics.bounds(TopicPartition(topic, partition)) for topic in order]
    )
