"""The graph for a terminal: one tree per agent, in aligned columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.topology.graph import AGENTS, CONSUMERS, PRODUCERS, Kind, Node, Verb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shieldx.topology.graph import Graph

TreeRow = tuple[str, str, str, str]
"""What the agent does, the topic, the topic's kind, and the agents at its other end."""


def text(graph: Graph) -> str:
    """The drawing as plain text, ending with a newline. It has no colours and ignores the terminal's width."""
    agents = [node for node in graph.nodes if node.kind in AGENTS]
    trees = {agent: _rows(graph, agent) for agent in agents}
    unused = [("", node.name, node.note, "") for node in graph.nodes if node.kind is Kind.UNUSED]
    widths = _widths([row for rows in [*trees.values(), unused] for row in rows])
    parts = [f"{agent.name}  {agent.note}\n{_tree(rows, widths)}" for agent, rows in trees.items()]
    if unused:
        parts.append(f"no agent\n{_tree(unused, widths)}")
    return "\n".join(parts)


def _rows(graph: Graph, agent: Node) -> list[TreeRow]:
    rows: list[TreeRow] = []
    for edge in graph.edges:
        if edge.target == agent:
            others = _others("◀", _writers(graph, edge.source), agent)
            rows.append(
                ("looks up" if edge.verb is Verb.LOOKS_UP else "reads", edge.source.name, edge.source.note, others)
            )
        elif edge.source == agent and edge.verb is Verb.FORWARDS:
            rows.append(("forwards", edge.target.name, "misplaced records, once", ""))
        elif edge.source == agent and edge.target.kind is Kind.DATABASE:
            rows += [("writes", table, f"in {edge.target.name}", "") for table in edge.target.lines]
        elif edge.source == agent:
            verb = "keeps" if edge.verb is Verb.KEEPS else "writes"
            rows.append((verb, edge.target.name, edge.target.note, _others("▶", _readers(graph, edge.target), agent)))
    return rows


def _writers(graph: Graph, topic: Node) -> list[Node]:
    verbs = (Verb.WRITES, Verb.KEEPS)
    return [edge.source for edge in graph.edges if edge.target == topic and edge.verb in verbs]


def _readers(graph: Graph, topic: Node) -> list[Node]:
    return [edge.target for edge in graph.edges if edge.source == topic and edge.verb in (Verb.READS, Verb.LOOKS_UP)]


def _others(arrow: str, nodes: Iterable[Node], agent: Node) -> str:
    """Agents first, then outside nodes."""
    outside = (PRODUCERS, CONSUMERS)
    names = [node.name for node in sorted(nodes, key=outside.__contains__) if node != agent]
    return f"{arrow} {', '.join(names)}" if names else ""


def _widths(rows: Iterable[TreeRow]) -> list[int]:
    return [max(map(len, cells), default=0) for cells in zip(*rows, strict=True)]


def _tree(rows: list[TreeRow], widths: list[int]) -> str:
    lines = []
    for index, row in enumerate(rows):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"{'└' if index == len(rows) - 1 else '├'}─ {cells}".rstrip())
    return "\n".join(lines) + "\n"
