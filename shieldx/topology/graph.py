"""Which agent reads, writes and keeps which topic, according to agents and manifests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from shieldx.engine.declarations.agent import AgentKind, state_topics_of, topics_of
from shieldx.engine.declarations.declared import internal_topics
from shieldx.engine.topics.outsiders import access_from_outside
from shieldx.errors import FixConfiguration
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.declarations.manifests import Topic


class Kind(StrEnum):
    """The kind of a node. Nodes are drawn from top to bottom in this order."""

    PRODUCERS = "producers"
    INPUT = "input"
    AGENT = "agent"
    REPLAYABLE = "replayable agent"
    RESULT = "result"
    REPLIES = "replies"
    DEAD_LETTERS = "dead letters"
    TABLE = "table"
    SINK = "sink"
    CONSUMERS = "consumers"
    DATABASE = "database"
    UNUSED = "unused topic"


class Verb(StrEnum):
    """The relation of an edge's source to its target."""

    READS = "is read by"
    LOOKS_UP = "is looked up by"
    """Read without a committed position."""
    WRITES = "writes"
    KEEPS = "keeps"
    """A table that the agent writes, and reads again when it starts."""
    FORWARDS = "forwards to"
    """A misplaced record is returned to its topic, once."""


KINDS = {
    AgentKind.TRANSACTIONAL: Kind.AGENT,
    AgentKind.REPLAYABLE: Kind.REPLAYABLE,
    AgentKind.SINK: Kind.SINK,
}
"""How the kinds of agents are drawn."""
AGENTS = tuple(KINDS.values())


@dataclass(frozen=True)
class Node:
    """A topic, an agent, or something outside ShieldX."""

    kind: Kind
    name: str
    note: str = ""
    """A few words shown below the name."""
    about: str = ""
    """One sentence, shown as a tooltip."""
    lines: tuple[str, ...] = ()
    """The tables of a database."""


@dataclass(frozen=True)
class Edge:
    """A flow of records from `source` to `target`."""

    source: Node
    verb: Verb
    target: Node


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of their kinds, edges in the order of their agents."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


PRODUCERS = Node(Kind.PRODUCERS, "producers", about="Whoever sends what agents read.")
CONSUMERS = Node(
    Kind.CONSUMERS, "consumers", about="Whoever reads results, and what else manifests say is for clients or operators."
)


def draw_up(agents: Iterable[Agent], topics: Mapping[str, Topic]) -> Graph:
    """The graph of agents, the topics that manifests declare, and those that agents have of their own.

    Raises:
        FixConfiguration: An agent names a topic that no manifest declares.
    """
    agents = list(agents)
    topics = internal_topics(agents) | dict(topics)
    nodes = _topic_nodes(agents, topics)
    edges = [edge for agent in agents for edge in _edges_of(agent, nodes)]
    edges += _reply_edges(agents, nodes, edges, topics)
    edges += _outside_edges(agents, nodes, topics)
    used = dict.fromkeys(node for edge in edges for node in (edge.source, edge.target))
    order = list(Kind)
    found = sorted(dict.fromkeys([*used, *nodes.values()]), key=lambda node: order.index(node.kind))
    return Graph(tuple(found), tuple(edges))


def _topic_nodes(agents: Iterable[Agent], topics: Mapping[str, Topic]) -> dict[str, Node]:
    """A node for each topic that is declared, by name."""
    for agent in agents:
        for name in topics_of(agent):
            if name not in topics:
                raise FixConfiguration(f"no manifest declares topic {name!r} of agent {agent.name!r}")
    kinds = {name: Kind.INPUT for agent in agents for name in (*agent.looks_up, *agent.reads)}
    kinds |= {name: Kind.REPLIES for name, topic in topics.items() if topic.accepts_replies}
    kinds |= {name: Kind.RESULT for agent in agents for name in agent.writes}
    kinds |= {name: Kind.INPUT for agent in agents if agent.kind is not AgentKind.SINK for name in agent.reads}
    kinds |= {name: Kind.TABLE for agent in agents for name in state_topics_of(agent)}
    kinds |= {DEAD_LETTERS: Kind.DEAD_LETTERS}
    return {
        name: Node(kind := kinds.get(name, Kind.UNUSED), name, _kept(kind, topic), topic.about)
        for name, topic in topics.items()
    }


def _kept(kind: Kind, topic: Topic) -> str:
    if topic.cleanup == "compact":
        return f"{kind}, compacted"
    length = topic.retention if topic.retention == "forever" else f"{topic.retention[:-1]} {topic.retention[-1]}"
    return f"{kind}, {'retained' if kind is Kind.TABLE else 'kept'} {length}"


def _edges_of(agent: Agent, topics: Mapping[str, Node]) -> Iterator[Edge]:
    node = Node(KINDS[agent.kind], agent.name, agent.kind, agent.about)
    for name in agent.reads:
        yield Edge(topics[name], Verb.READS, node)
        if name in agent.returns_to:
            yield Edge(node, Verb.FORWARDS, topics[name])
    yield from (Edge(topics[name], Verb.LOOKS_UP, node) for name in agent.looks_up)
    yield from (Edge(node, Verb.WRITES, topics[name]) for name in agent.writes)
    if agent.sends_replies:
        yield from (Edge(node, Verb.WRITES, topic) for topic in topics.values() if topic.kind is Kind.REPLIES)
    if agent.sets_aside and DEAD_LETTERS in topics and DEAD_LETTERS not in agent.writes:
        yield Edge(node, Verb.WRITES, topics[DEAD_LETTERS])
    yield from (Edge(node, Verb.KEEPS, topics[name]) for name in state_topics_of(agent))
    if agent.needs_postgres:
        database = Node(Kind.DATABASE, "Postgres", about="Tables of SQL.", lines=agent.sql_tables)
        yield Edge(node, Verb.WRITES, database)


def _reply_edges(
    agents: Iterable[Agent], nodes: Mapping[str, Node], inside: Iterable[Edge], topics: Mapping[str, Topic]
) -> Iterator[Edge]:
    """Answers of agents to other agents, in the topics where those read replies of that kind."""
    working = {edge.target.name: edge.target for edge in inside if edge.verb is Verb.READS}
    replies = [name for agent in agents for name in agent.reads if topics[name].accepts_replies]
    for agent in agents:
        if agent.sends_replies and agent.results is not None:
            answers = topics[agent.results].messages.keys()
            yield from (
                Edge(working[agent.name], Verb.WRITES, nodes[name])
                for name in replies
                if answers & topics[name].messages.keys()
            )


def _outside_edges(agents: Iterable[Agent], nodes: Mapping[str, Node], topics: Mapping[str, Topic]) -> Iterator[Edge]:
    """What producers write and consumers read; dead letters are read by whoever looks after the system."""
    outside = access_from_outside(agents, topics)
    readers = {*outside.readers, *(DEAD_LETTERS for agent in agents if agent.sets_aside)}
    for name, node in nodes.items():
        if name in outside.writers:
            yield Edge(PRODUCERS, Verb.WRITES, node)
        if name in readers:
            yield Edge(node, Verb.READS, CONSUMERS)
