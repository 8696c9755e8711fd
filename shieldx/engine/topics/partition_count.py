"""The partition count that data was written with. It is part of the data's address: a tenant's home depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shieldx.engine.kafka.access import translated
from shieldx.engine.kafka.clients import new_consumer, started
from shieldx.engine.kafka.positions import written_counts
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shieldx.engine.declarations.agent import Agent


def agents_behind(agent: Agent, agents: Iterable[Agent]) -> list[Agent]:
    """The agents whose positions tell how an agent's data was written: itself, and those that write what it reads."""
    inputs = {*agent.inputs, *agent.looks_up}
    return [
        each
        for each in agents
        if each.positions is not None
        and (each.name == agent.name or not inputs.isdisjoint((*each.writes, *each.tables)))
    ]


async def counts_written(
    connection: Mapping[str, Any], agents: Iterable[Agent], actual: Mapping[str, int]
) -> dict[str, set[int]]:
    """The partition counts that the data of each agent was written with, by the agent's name.

    `actual` has the present number of partitions of each topic that exists. An agent that has never started has no
    count. One whose tenants are being moved to more partitions has two.

    Raises:
        FixConfiguration: an ACL is missing, or a record is not a position.
        RestoreTask: the brokers do not respond.
    """
    counts: dict[str, set[int]] = {}
    with translated(connection, "the positions of agents cannot be read"):
        async with started(new_consumer(connection)) as consumer:
            for agent in agents:
                if agent.positions is not None and agent.positions in actual:
                    numbers = range(actual[agent.positions])
                    found = await written_counts(consumer, agent.positions, agent.inputs, numbers)
                    counts[agent.name] = set(found.values())
    return counts


def check_counts(counts: Mapping[str, set[int]], partitions: int) -> None:
    """Refuse data that was written with another partition count.

    Raises:
        FixConfiguration: tenants would be looked for in partitions where their data is not.
    """
    for name, found in counts.items():
        if len(found) > 1:
            least, most = min(found), max(found)
            raise FixConfiguration(
                f"the data of agent {name} is being moved from {least} to {most} partitions. "
                f"Run `shieldx topics grow {most}` again, until it says that it is done"
            )
        if found and found != {partitions}:
            (count,) = found
            raise FixConfiguration(
                f"the data of agent {name} was written with {count} partitions, and SHIELDX_PARTITIONS is "
                f"{partitions}: tenants would be looked for where their data is not. {remedy(count, partitions)}"
            )


def remedy(written: int, wanted: int) -> str:
    """What to do about data that was written with another partition count than the one that is set."""
    back = f"set SHIELDX_PARTITIONS={written}"
    if wanted > written and wanted % written == 0:
        return f"Move them with `shieldx topics grow {wanted}`, or {back}"
    return back[0].upper() + back[1:]
