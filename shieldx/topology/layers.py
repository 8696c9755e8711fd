"""Assigns nodes to layers so that edges run from left to right and rarely cross.

Longest paths determine the layers, and barycentres the order within a layer: Sugiyama, Tagawa and Toda, 1981.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING

from shieldx.topology.graph import Edge, Kind, Node, Verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from shieldx.topology.graph import Graph

SWEEPS = 12
"""More sweeps have never removed another crossing from graphs of this size."""
OUTSIDE = (Kind.PRODUCERS, Kind.CONSUMERS)


@dataclass(frozen=True, eq=False)
class Stop:
    """A position in a layer: a node, a copy of an outside node, or a bend (None) of a passing edge."""

    node: Node | None


@dataclass(frozen=True)
class Path:
    """An edge through the layers, as its stops from left to right."""

    edge: Edge
    stops: tuple[Stop, ...]
    backward: bool
    """Whether the edge runs from right to left."""


@dataclass(frozen=True)
class Layers:
    """Stops from left to right, and within a layer from top to bottom."""

    columns: tuple[tuple[Stop, ...], ...]
    paths: tuple[Path, ...]


def arrange(graph: Graph) -> Layers:
    """Assign every node that has an edge to a layer and a position in it."""
    outside = [edge for edge in graph.edges if edge.source.kind in OUTSIDE or edge.target.kind in OUTSIDE]
    inside = [edge for edge in graph.edges if edge.source.kind not in OUTSIDE and edge.target.kind not in OUTSIDE]
    nodes = [node for node in graph.nodes if node.kind not in OUTSIDE and node.kind is not Kind.UNUSED]
    backward = _backward(inside)
    numbers = _layer_numbers(
        nodes, [_turned(edge) if edge in backward else (edge.source, edge.target) for edge in inside]
    )
    columns = _Columns()
    for node in nodes:
        columns.stop(node, numbers[node])
    paths = [_path(edge, numbers, columns, backward=edge in backward) for edge in inside]
    paths += [_path_outside(edge, numbers, columns) for edge in outside]
    ordered = _ordered(columns.from_left(), paths)
    return Layers(tuple(tuple(column) for column in ordered), tuple(paths))


def crossings(columns: Sequence[Sequence[Stop]], paths: Iterable[Path]) -> int:
    """The number of pairs of edges that cross."""
    place = {stop: index for column in columns for index, stop in enumerate(column)}
    layer = {stop: index for index, column in enumerate(columns) for stop in column}
    links: dict[int, list[tuple[int, int]]] = {}
    for left, right in _links(paths):
        links.setdefault(layer[left], []).append((place[left], place[right]))
    return sum(_inversions(right for _, right in sorted(between)) for between in links.values())


def _inversions(places: Iterable[int]) -> int:
    """The number of pairs in the wrong order."""
    passed: list[int] = []
    count = 0
    for place in places:
        count += len(passed) - bisect_right(passed, place)
        insort(passed, place)
    return count


def _turned(edge: Edge) -> tuple[Node, Node]:
    return edge.target, edge.source


def _backward(edges: Sequence[Edge]) -> set[Edge]:
    """The edges that must run from right to left: forwarding, and the last edge of each cycle."""
    backward = {edge for edge in edges if edge.verb is Verb.FORWARDS}
    kept: list[Edge] = []
    for edge in edges:
        if edge not in backward:
            try:
                TopologicalSorter(_predecessors((e.source, e.target) for e in [*kept, edge])).prepare()
            except CycleError:
                backward.add(edge)
            else:
                kept.append(edge)
    return backward


def _predecessors(pairs: Iterable[tuple[Node, Node]]) -> dict[Node, list[Node]]:
    found: dict[Node, list[Node]] = {}
    for left, right in pairs:
        found.setdefault(right, []).append(left)
    return found


def _layer_numbers(nodes: Iterable[Node], pairs: Sequence[tuple[Node, Node]]) -> dict[Node, int]:
    """The longest path from the left. A node without predecessors is placed close to its successors."""
    predecessors = _predecessors(pairs)
    numbers = dict.fromkeys(nodes, 0)
    for node in TopologicalSorter(predecessors).static_order():
        numbers[node] = max((numbers[left] + 1 for left in predecessors.get(node, ())), default=0)
    successors = _predecessors((right, left) for left, right in pairs)
    for node in numbers:
        if node not in predecessors and node in successors:
            numbers[node] = min(numbers[right] for right in successors[node]) - 1
    return numbers


class _Columns:
    """The stops of each layer, as they are added."""

    def __init__(self) -> None:
        self._stops: dict[tuple[Node, int], Stop] = {}
        self._columns: dict[int, list[Stop]] = {}

    def stop(self, node: Node, number: int) -> Stop:
        """A node's stop in a layer."""
        if (node, number) not in self._stops:
            self._stops[node, number] = self._add(number, Stop(node))
        return self._stops[node, number]

    def bend(self, number: int) -> Stop:
        """Add a bend to a layer."""
        return self._add(number, Stop(None))

    def from_left(self) -> list[list[Stop]]:
        """The layers from left to right."""
        return [self._columns[number] for number in sorted(self._columns)]

    def _add(self, number: int, stop: Stop) -> Stop:
        self._columns.setdefault(number, []).append(stop)
        return stop


def _path(edge: Edge, numbers: Mapping[Node, int], columns: _Columns, *, backward: bool) -> Path:
    """An edge between nodes, with a bend in every layer between them."""
    left, right = _turned(edge) if backward else (edge.source, edge.target)
    first, last = numbers[left], numbers[right]
    bends = [columns.bend(number) for number in range(first + 1, last)]
    return Path(edge, (columns.stop(left, first), *bends, columns.stop(right, last)), backward)


def _path_outside(edge: Edge, numbers: Mapping[Node, int], columns: _Columns) -> Path:
    """An edge to an outside node. Each layer that needs the node gets a copy next to it, so such edges are short."""
    source, target = edge.source, edge.target
    first = numbers[target] - 1 if source.kind in OUTSIDE else numbers[source]
    return Path(edge, (columns.stop(source, first), columns.stop(target, first + 1)), backward=False)


def _links(paths: Iterable[Path]) -> list[tuple[Stop, Stop]]:
    """The segments of all paths between adjacent layers."""
    return [link for path in paths for link in pairwise(path.stops)]


def _ordered(columns: list[list[Stop]], paths: Sequence[Path]) -> list[list[Stop]]:
    """Sort each layer by the positions of its neighbours, back and forth, and keep the order with fewest crossings."""
    links = _links(paths)
    sides = _neighbours(links), _neighbours([(right, left) for left, right in links])
    best, fewest = columns, crossings(columns, paths)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        flip = sweep % 4 >= 2  # noqa: PLR2004 - every second pass back and forth
        columns = _swept(columns, sides[sweep % 2], to_the_right=sweep % 2 == 0, flip=flip)
        _exchange(columns, sides)
        count = crossings(columns, paths)
        if count < fewest:
            best, fewest = [list(column) for column in columns], count
    return best


def _neighbours(links: Iterable[tuple[Stop, Stop]]) -> dict[Stop, list[Stop]]:
    """The left neighbours of each stop, from pairs of left and right."""
    found: dict[Stop, list[Stop]] = {}
    for left, right in links:
        found.setdefault(right, []).append(left)
    return found


def _swept(
    columns: list[list[Stop]], neighbours: Mapping[Stop, Sequence[Stop]], *, to_the_right: bool, flip: bool
) -> list[list[Stop]]:
    """`flip` reverses ties. Otherwise they may keep an order that only two simultaneous exchanges would improve."""
    place = {stop: float(index) for column in columns for index, stop in enumerate(column)}
    swept = []
    for column in columns if to_the_right else reversed(columns):
        ordered = sorted(column[::-1] if flip else column, key=_barycentre(neighbours, place))
        place |= {stop: float(index) for index, stop in enumerate(ordered)}
        swept.append(ordered)
    return swept if to_the_right else swept[::-1]


def _exchange(columns: list[list[Stop]], sides: Iterable[Mapping[Stop, Sequence[Stop]]]) -> None:
    """Swap adjacent stops if this saves a crossing, since barycentres do not resolve ties."""
    place = {stop: index for column in columns for index, stop in enumerate(column)}

    def cross(above: Stop, below: Stop) -> int:
        return sum(place[a] > place[b] for side in sides for a in side.get(above, ()) for b in side.get(below, ()))

    saved = True
    while saved:
        saved = False
        for column in columns:
            for index in range(len(column) - 1):
                above, below = column[index : index + 2]
                if cross(above, below) > cross(below, above):
                    column[index : index + 2] = below, above
                    place[above], place[below] = index + 1, index
                    saved = True


def _barycentre(neighbours: Mapping[Stop, Sequence[Stop]], place: dict[Stop, float]) -> Callable[[Stop], float]:
    def of(stop: Stop) -> float:
        others = neighbours.get(stop, ())
        return sum(place[other] for other in others) / len(others) if others else place[stop]

    return of
