"""The graph as a Mermaid flowchart, which GitHub and many editors render."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shieldx.topology.graph import Edge, Kind, Node, Verb
from shieldx.topology.palette import TINTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.topology.graph import Graph

AGENT, TOPIC, CYLINDER, OUTSIDE = ("[", "]"), ("([", "])"), ("[(", ")]"), ("[/", "/]")
SHAPES = {
    Kind.AGENT: AGENT,
    Kind.REPLAYABLE: AGENT,
    Kind.SINK: AGENT,
    Kind.TABLE: CYLINDER,
    Kind.DATABASE: CYLINDER,
    Kind.PRODUCERS: OUTSIDE,
    Kind.CONSUMERS: OUTSIDE,
}
ARROWS = {
    Verb.READS: "-->",
    Verb.LOOKS_UP: "-. looked up .->",
    Verb.WRITES: "-->",
    Verb.KEEPS: "<-->",
    Verb.FORWARDS: "-. misplaced, once .->",
}
INK = "#1f2328"
"""Text on the fills, which are light even in GitHub's dark mode."""


def mermaid(graph: Graph) -> str:
    """The flowchart's source, ending with a newline."""
    ids = _ids(graph)
    lines = ["flowchart LR"]
    lines += [f"  {ids[node]}{_label(node)}:::{_class(node.kind)}" for node in graph.nodes]
    lines += [f"  {_arrow(edge, ids)}" for edge in graph.edges]
    for kind in dict.fromkeys(node.kind for node in graph.nodes):
        tint = TINTS[kind]
        lines.append(f"  classDef {_class(kind)} fill:{tint.fill},stroke:{tint.stroke},color:{INK}")
    return "\n".join(lines) + "\n"


def _ids(graph: Graph) -> dict[Node, str]:
    """Ids of letters, digits and `_`. A number distinguishes `a.b` from `a-b` and makes `end` legal."""
    return {node: f"n{number}_{re.sub(r'[^A-Za-z0-9]', '_', node.name)}" for number, node in enumerate(graph.nodes, 1)}


def _label(node: Node) -> str:
    opening, closing = SHAPES.get(node.kind, TOPIC)
    words = [node.name, *([node.note] if node.note else []), *node.lines]
    return f'{opening}"{"<br/>".join(word.replace(chr(34), "#quot;") for word in words)}"{closing}'


def _class(kind: Kind) -> str:
    return kind.replace(" ", "_")


def _arrow(edge: Edge, ids: Mapping[Node, str]) -> str:
    return f"{ids[edge.source]} {ARROWS[edge.verb]} {ids[edge.target]}"
