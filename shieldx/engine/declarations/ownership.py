"""Which inputs an agent owns, and the topics that every agent has of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from shieldx.engine.declarations.agent import Agent, load_agents
from shieldx.engine.declarations.manifests import Topic, load_manifests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from shieldx.engine.declarations.agent import AnyAgent


class Declared(NamedTuple):
    """All that pages and manifests declare."""

    agents: dict[str, AnyAgent]
    topics: dict[str, Topic]


def load_declared(home: Path) -> Declared:
    """Every agent and every topic of the pages and manifests in `home`, which has the folders agents/ and topics/.

    Raises:
        FixConfiguration: a page or a manifest is wrong.
    """
    manifests = load_manifests(home / "topics")
    agents = resolve_owners(load_agents(home / "agents"), manifests)
    return Declared(agents, internal_topics(agents.values()) | manifests)


def resolve_owners(agents: Mapping[str, AnyAgent], topics: Mapping[str, Topic]) -> dict[str, AnyAgent]:
    """The agents, each with the inputs that it owns.

    An agent owns an input that people or clients write (`writers` of the manifest), or that no agent writes. If several
    agents read it, the first one by name owns it. Only the owner appends ticks and forwarded records to a topic: they
    must not appear among another agent's results.
    """
    written = {topic for agent in agents.values() for topic in (*getattr(agent, "writes", ()), *agent.tables)}
    owners: dict[str, str] = {}
    for name in sorted(agents):
        agent = agents[name]
        if not isinstance(agent, Agent):
            continue
        for topic in agent.reads:
            if topic not in written or (topic in topics and topics[topic].writers is not None):
                owners.setdefault(topic, name)
    return {
        name: replace(agent, owns=frozenset(topic for topic in agent.reads if owners.get(topic) == name))
        if isinstance(agent, Agent)
        else agent
        for name, agent in agents.items()
    }


def internal_topics(agents: Iterable[AnyAgent]) -> dict[str, Topic]:
    """The topics of positions, and of ticks where an agent owns no input, by name."""
    topics: dict[str, Topic] = {}
    for agent in agents:
        if not isinstance(agent, Agent):
            continue
        topics[agent.positions] = Topic(
            about=f"How far {agent.name} has read its inputs; written with its outputs, in the same transaction.",
            key="input topic",
            cleanup="compact",
            timestamps="broker",
            segment="1h",
        )
        if agent.ticks not in agent.reads:
            topics[agent.ticks] = Topic(
                about=f"Lets stream time pass for {agent.name}, whose inputs other agents write.",
                key="none",
                cleanup="delete",
                retention="1d",
                timestamps="broker",
            )
    return topics
