"""A step of the story: one record to send to `credits.commands`, and what is known about it beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.engine.tasks.codec import encode
from shieldx.engine.tasks.partitioner import home_partition

if TYPE_CHECKING:
    from shieldx.domains.credits.messages import Command


UNREADABLE = "unreadable"
"""A reason for dead letters, and the code of the result beside it."""


class Step(NamedTuple):
    """A record to send. Its partition is its home, except for a misplaced record."""

    kind: str
    """The command's type, or what is wrong with the record."""
    tenant_id: str
    key: bytes
    value: bytes
    home: int
    partition: int
    dead_letter: str | None = None
    """The reason for which the record must be dead-lettered, or None if it must be executed."""

    @property
    def answered(self) -> bool:
        """Whether it gets a result. So does a record that cannot be read, by its correlation id."""
        return self.dead_letter in {None, UNREADABLE}


def step_of(command: Command, partitions: int) -> Step:
    """A command, sent as a correct producer sends it."""
    tenant_id = command.tenant_id
    home = home_partition(tenant_id, partitions)
    kind = str(command.__struct_config__.tag)
    return Step(kind, tenant_id, tenant_id.encode(), encode(command), home, home)


def misplaced(step: Step, partitions: int) -> Step:
    """The same command on the next partition, as from a producer with another partitioner."""
    return step._replace(partition=(step.home + 1) % partitions)
