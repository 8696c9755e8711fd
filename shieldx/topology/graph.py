"""Which agent reads, writes and keeps which topic, according to agents and manifests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from shieldx.engine.declarations.agent import Agent
from shieldx.engine.declarations.replayable import Replayable
from shieldx.engine.declarations.sink import Sink
from shieldx.errors import FixConfiguration
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shieldx.engine.declarations.agent import AnyAgent
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


AGENTS = (Kind.AGENT, Kind.REPLAYABLE, Kind.SINK)


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


PRODUCERS = Node(Kind.PRODUCERS, "producers", about="Whatever sends to topics that no agent writes.")
CONSUMERS = Node(Kind.CONSUMERS, "consumers", about="Whatever reads results, and the topics that no agent reads.")


def draw_up(agents: Iterable[AnyAgent], topics: Mapping[str, Topic]) -> Graph:
    """Build the graph of agents and of the topics that manifests declare.

    Raises:
        FixConfiguration: An agent names a topic that no manifest declares.
    """
    agents = list(agents)
    nodes = _topic_nodes(agents, topics)
    edges = [edge for agent in agents for edge in _edges_of(agent, nodes)]
    edges += _reply_edges(agents, nodes, edges, topics)
    edges += _outside_edges(agents, nodes, edges, topics)
    used = dict.fromkeys(node for edge in edges for node in (edge.source, edge.target))
    order = list(Kind)
    found = sorted(dict.fromkeys([*used, *nodes.values()]), key=lambda node: order.index(node.kind))
    return Graph(tuple(found), tuple(edges))


def _topic_nodes(agents: Iterable[AnyAgent], topics: Mapping[str, Topic]) -> dict[str, Node]:
    """A node for each declared topic, by name."""
    transactional = [agent for agent in agents if isinstance(agent, Agent)]
    replayable = [agent for agent in agents if isinstance(agent, Replayable)]
    answering: list[Agent | Replayable] = [*transactional, *replayable]
    for agent in agents:
        for name in agent.topics:
            if name not in topics:
                raise FixConfiguration(f"no manifest declares topic {name!r} of agent {agent.name!r}")
    kinds = {name: Kind.REPLIES for name, topic in topics.items() if topic.accepts_replies}
    kinds |= {name: Kind.RESULT for agent in answering for name in agent.writes}
    kinds |= {name: Kind.INPUT for agent in answering for name in agent.reads}
    kinds |= {name: Kind.TABLE for agent in transactional for name in (*agent.tables, agent.positions)}
    kinds |= {DEAD_LETTERS: Kind.DEAD_LETTERS}
    looked_up = {name: Kind.INPUT for agent in replayable for name in agent.looks_up}
    read_at_all = {name: Kind.INPUT for agent in agents for name in agent.reads}
    kinds = looked_up | read_at_all | kinds
    return {
        name: Node(kind := kinds.get(name, Kind.UNUSED), name, _kept(kind, topic), topic.about)
        for name, topic in topics.items()
    }


def _kept(kind: Kind, topic: Topic) -> str:
    if topic.cleanup == "compact":
        return f"{kind}, compacted"
    length = topic.retention if topic.retention == "forever" else f"{topic.retention[:-1]} {topic.retention[-1]}"
    return f"{kind}, {'retained' if kind is Kind.TABLE else 'kept'} {length}"


def _edges_of(agent: AnyAgent, topics: Mapping[str, Node]) -> Iterator[Edge]:
    if isinstance(agent, Sink):
        node = Node(Kind.SINK, agent.name, "sink", "Rows and the position commit in one database transaction.")
        yield from (Edge(topics[name], Verb.READS, node) for name in agent.reads)
        tables = tuple(table.name for table in agent.into)
        yield Edge(node, Verb.WRITES, Node(Kind.DATABASE, "Postgres", about="SQL tables.", lines=tables))
        return
    if isinstance(agent, Replayable):
        yield from _edges_of_replayable(agent, topics)
        return
    about = "Results, tables and the position commit in one Kafka transaction."
    node = Node(Kind.AGENT, agent.name, "transactional agent", about)
    for name in agent.reads:
        yield Edge(topics[name], Verb.READS, node)
        yield Edge(node, Verb.FORWARDS, topics[name])
    yield from (Edge(node, Verb.WRITES, topics[name]) for name in agent.writes)
    if agent.writes:
        yield from (Edge(node, Verb.WRITES, topic) for topic in topics.values() if topic.kind is Kind.REPLIES)
    if DEAD_LETTERS in topics and DEAD_LETTERS not in agent.writes:
        yield Edge(node, Verb.WRITES, topics[DEAD_LETTERS])
    yield from (Edge(node, Verb.KEEPS, topics[name]) for name in (*agent.tables, agent.positions))


def _edges_of_replayable(agent: Replayable, topics: Mapping[str, Node]) -> Iterator[Edge]:
    about = "Each record is answered at least once; answering one again does no harm."
    node = Node(Kind.REPLAYABLE, agent.name, "replayable agent", about)
    yield from (Edge(topics[name], Verb.READS, node) for name in agent.reads)
    yield from (Edge(topics[name], Verb.LOOKS_UP, node) for name in agent.looks_up)
    yield from (Edge(node, Verb.WRITES, topics[name]) for name in agent.writes)
    if DEAD_LETTERS in topics and DEAD_LETTERS not in agent.writes:
        yield Edge(node, Verb.WRITES, topics[DEAD_LETTERS])


def _reply_edges(
    agents: Iterable[AnyAgent], nodes: Mapping[str, Node], inside: Iterable[Edge], topics: Mapping[str, Topic]
) -> Iterator[Edge]:
    """Answers of agents to other agents, in the topics where those read replies of that kind."""
    working = {edge.target.name: edge.target for edge in inside if edge.verb is Verb.READS}
    replies = [name for agent in agents for name in agent.reads if topics[name].accepts_replies]
    for agent in agents:
        if isinstance(agent, Agent) and agent.writes:
            answers = topics[agent.writes[0]].messages.keys()
            yield from (
                Edge(working[agent.name], Verb.WRITES, nodes[name])
                for name in replies
                if answers & topics[name].messages.keys()
            )


def _outside_edges(
    agents: Iterable[AnyAgent], nodes: Mapping[str, Node], inside: Iterable[Edge], topics: Mapping[str, Topic]
) -> Iterator[Edge]:
    """Edges from producers to topics that no agent writes, and to consumers from results and topics no agent reads."""
    inside = list(inside)
    written = {edge.target for edge in inside if edge.verb is Verb.WRITES}
    read = {edge.source for edge in inside if edge.verb in (Verb.READS, Verb.LOOKS_UP)}
    results = {agent.writes[0] for agent in agents if isinstance(agent, Agent) and agent.writes}
    for name, node in nodes.items():
        if node.kind is Kind.INPUT and (node not in written or topics[name].writers is not None):
            yield Edge(PRODUCERS, Verb.WRITES, node)
        if node in written and (node not in read or name in results or topics[name].readers is not None):
            yield Edge(node, Verb.READS, CONSUMERS)
