"""The graph as text, with one sentence per agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.topology.graph import AGENTS, Verb

if TYPE_CHECKING:
    from shieldx.topology.graph import Edge, Graph


def describe(graph: Graph) -> str:
    """What each agent reads, writes and keeps, for readers who cannot see a drawing."""
    sentences = []
    for agent in graph.nodes:
        if agent.kind not in AGENTS:
            continue
        reads = [edge.source.name for edge in graph.edges if edge.target == agent and edge.verb is Verb.READS]
        looks_up = [edge.source.name for edge in graph.edges if edge.target == agent and edge.verb is Verb.LOOKS_UP]
        writes = [_target(edge) for edge in graph.edges if edge.source == agent and edge.verb is Verb.WRITES]
        keeps = [edge.target.name for edge in graph.edges if edge.source == agent and edge.verb is Verb.KEEPS]
        parts = [
            f"{verb} {_listed(names)}"
            for verb, names in (
                ("reads", reads),
                ("looks up", looks_up),
                ("writes", writes),
                ("keeps the tables", keeps),
            )
            if names
        ]
        sentences.append(f"{agent.note.capitalize()} {agent.name} {_listed(parts)}.")
    return " ".join(sentences)


def _target(edge: Edge) -> str:
    return f"{_listed(list(edge.target.lines))} in {edge.target.name}" if edge.target.lines else edge.target.name


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
