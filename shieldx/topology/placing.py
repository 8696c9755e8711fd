"""Computes the positions of nodes and edges of a layered graph, in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from shieldx.topology.graph import Kind, Node
from shieldx.topology.layers import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shieldx.topology.layers import Layers, Path, Stop

NAME_PX, NOTE_PX, LINE_PX = 13.0, 11.0, 17.0
MONOSPACED, PROPORTIONAL = 0.61, 0.54
"""Width of a character relative to its font size; an upper bound for common fonts, averaged over a few words."""
PADDING_PX = 15.0
NODE_HEIGHT_PX, OUTSIDE_HEIGHT_PX, BEND_HEIGHT_PX = 46.0, 34.0, 4.0
LID_PX = 6.0
"""Half the height of a cylinder's lid."""
PORT_PX = 15.0
"""Distance between two edges that end at the same side of a node."""
ROW_GAP_PX, GROUP_GAP_PX = 14.0, 30.0
COLUMN_GAP_PX, GAP_PER_EDGE_PX, WIDEST_GAP_PX = 44.0, 6.0, 86.0
TURN_SHARE = 0.2
"""How far a line may turn from the middle of a gap, as a share of the gap."""
ROUNDS = 40
CYLINDERS = frozenset({Kind.TABLE, Kind.DATABASE})


@dataclass(frozen=True)
class Box:
    """A rectangle; `y_px` is its top."""

    x_px: float
    y_px: float
    width_px: float
    height_px: float

    @property
    def middle_px(self) -> float:
        """The vertical position of its middle."""
        return self.y_px + self.height_px / 2

    @property
    def right_px(self) -> float:
        """The horizontal position of its right side."""
        return self.x_px + self.width_px


@dataclass(frozen=True)
class Stretch:
    """A line through the gap between two columns, and where it turns from one level to another."""

    from_px: tuple[float, float]
    to_px: tuple[float, float]
    turn_px: float


@dataclass(frozen=True)
class Line:
    """A drawn path from left to right: a stretch through each gap, and horizontal lines through the columns."""

    path: Path
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True)
class Placement:
    """Boxes of nodes (an outside node may have several) and lines of edges."""

    boxes: tuple[tuple[Node, Box], ...]
    lines: tuple[Line, ...]
    width_px: float
    height_px: float


def place(layers: Layers) -> Placement:
    """Place columns from left to right, and each node as close to its neighbours as its column allows."""
    sides = _sides(layers)
    sizes = {stop: _size(stop, sides) for column in layers.columns for stop in column}
    middles = _middles(layers, sizes)
    boxes, width_px = _boxes(layers, sizes, middles)
    ports = _ports(sides, boxes)
    lines = tuple(Line(path, _stretches(path, boxes, ports)) for path in layers.paths)
    named = tuple((stop.node, box) for stop, box in boxes.items() if stop.node is not None)
    return Placement(named, lines, width_px, max((b.y_px + b.height_px for b in boxes.values()), default=0))


def note_width_px(text: str) -> float:
    """An upper bound for the width of a few words."""
    return len(text) * NOTE_PX * PROPORTIONAL


def size_px(node: Node, edges_at_a_side: int = 0) -> tuple[float, float]:
    """Width and height of a node that fits its words and the ends of its edges."""
    words_px = max(len(node.name) * NAME_PX * MONOSPACED, *map(note_width_px, (node.note, *node.lines)))
    height_px = OUTSIDE_HEIGHT_PX if node.kind in OUTSIDE else NODE_HEIGHT_PX + LINE_PX * len(node.lines)
    lid_px = 2 * LID_PX if node.kind in CYLINDERS else 0.0
    return round(words_px + 2 * PADDING_PX), max(height_px, PORT_PX * (edges_at_a_side + 1)) + lid_px


Ends = dict[tuple["Stop", str], list[tuple["Path", "Stop"]]]
"""By stop and side: each path that ends there, with the stop at its other end."""


def _sides(layers: Layers) -> Ends:
    sides: Ends = {}
    for path in layers.paths:
        for left, right in pairwise(path.stops):
            sides.setdefault((left, "right"), []).append((path, right))
            sides.setdefault((right, "left"), []).append((path, left))
    return sides


def _size(stop: Stop, sides: Ends) -> tuple[float, float]:
    if stop.node is None:
        return 0.0, BEND_HEIGHT_PX
    return size_px(stop.node, max(len(sides.get((stop, side), ())) for side in ("left", "right")))


def _middles(layers: Layers, sizes: Mapping[Stop, tuple[float, float]]) -> dict[Stop, float]:
    """The vertical middle of each stop: the average of its neighbours, and finally of its right neighbours.

    Without the final pass a chain on the left would be crooked, because columns pull each other up or down endlessly.
    """
    left_of, right_of = _neighbours(layers)
    middles: dict[Stop, float] = {}
    for column in layers.columns:
        middles |= _spread(column, sizes, dict.fromkeys(column, 0.0))
    for turn in range(ROUNDS + 1):
        for column in layers.columns if turn % 2 else reversed(layers.columns):
            near = {
                stop: [*(left_of.get(stop, ()) if turn < ROUNDS else ()), *right_of.get(stop, ())] or [stop]
                for stop in column
            }
            wanted = {stop: sum(middles[other] for other in near[stop]) / len(near[stop]) for stop in column}
            middles |= _spread(column, sizes, wanted)
    return middles


def _neighbours(layers: Layers) -> tuple[dict[Stop, list[Stop]], dict[Stop, list[Stop]]]:
    """The left and right neighbours of each stop."""
    left_of: dict[Stop, list[Stop]] = {}
    right_of: dict[Stop, list[Stop]] = {}
    for path in layers.paths:
        for left, right in pairwise(path.stops):
            left_of.setdefault(right, []).append(left)
            right_of.setdefault(left, []).append(right)
    return left_of, right_of


def _spread(
    column: Sequence[Stop], sizes: Mapping[Stop, tuple[float, float]], wanted: Mapping[Stop, float]
) -> dict[Stop, float]:
    """Middles that keep the order and gaps of a column and deviate least from the wanted positions.

    After subtracting the gaps this is isotonic regression, solved by pooling adjacent violators.
    """
    offsets, reach_px = [], 0.0
    for index, stop in enumerate(column):
        if index:
            above = column[index - 1]
            reach_px += (sizes[above][1] + sizes[stop][1]) / 2 + _gap_px(above, stop)
        offsets.append(reach_px)
    pools: list[tuple[float, int]] = []
    for stop, offset in zip(column, offsets, strict=True):
        total, count = wanted[stop] - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    levels = [total / count for total, count in pools for _ in range(count)]
    return {stop: level + offset for stop, level, offset in zip(column, levels, offsets, strict=True)}


def _gap_px(above: Stop, below: Stop) -> float:
    """Tables are set apart from topics that data flows through."""
    tables = [stop.node is not None and stop.node.kind is Kind.TABLE for stop in (above, below)]
    return GROUP_GAP_PX if tables[0] != tables[1] else ROW_GAP_PX


def _boxes(
    layers: Layers, sizes: Mapping[Stop, tuple[float, float]], middles: Mapping[Stop, float]
) -> tuple[dict[Stop, Box], float]:
    """The boxes, with the top at 0, and the total width of all columns."""
    top_px = min((middles[stop] - sizes[stop][1] / 2 for stop in middles), default=0.0)
    boxes: dict[Stop, Box] = {}
    x_px = 0.0
    for index, column in enumerate(layers.columns):
        width_px = max(sizes[stop][0] for stop in column)
        for stop in column:
            own_px, height_px = sizes[stop]
            own_px = own_px if stop.node is not None and stop.node.kind in OUTSIDE else width_px
            left_px = x_px + (width_px - own_px) / 2
            boxes[stop] = Box(left_px, round(middles[stop] - top_px) - height_px / 2, own_px, height_px)
        x_px += width_px
        if index + 1 < len(layers.columns):
            x_px += _column_gap_px(layers, column)
    return boxes, x_px


def _column_gap_px(layers: Layers, column: Iterable[Stop]) -> float:
    """Wider if more edges fan out in the gap."""
    stops = set(column)
    links = sum(stop in stops for path in layers.paths for stop in path.stops[:-1])
    return min(COLUMN_GAP_PX + GAP_PER_EDGE_PX * (links - 1), WIDEST_GAP_PX)


def _ports(sides: Ends, boxes: Mapping[Stop, Box]) -> dict[tuple[Stop, str, Path], float]:
    """The height at which each path meets a side of a stop: ordered by the other ends, so that paths do not cross."""
    ports: dict[tuple[Stop, str, Path], float] = {}
    for (stop, side), ends in sides.items():
        ordered = sorted(ends, key=lambda end: boxes[end[1]].middle_px)
        for index, (path, _) in enumerate(ordered):
            ports[stop, side, path] = boxes[stop].middle_px + (index - (len(ordered) - 1) / 2) * PORT_PX
    return ports


def _stretches(
    path: Path, boxes: Mapping[Stop, Box], ports: Mapping[tuple[Stop, str, Path], float]
) -> tuple[Stretch, ...]:
    return tuple(
        _stretch(boxes[left], ports[left, "right", path], boxes[right], ports[right, "left", path])
        for left, right in pairwise(path.stops)
    )


def _stretch(left: Box, from_y_px: float, right: Box, to_y_px: float) -> Stretch:
    """Lines that fan out or in turn one after another, so that steep lines keep their distance."""
    gap_px = right.x_px - left.right_px
    off_middle_px = (from_y_px - left.middle_px) + (to_y_px - right.middle_px)
    late_px = off_middle_px * (-1 if to_y_px > from_y_px else 1)
    most_px = gap_px * TURN_SHARE
    turn_px = left.right_px + gap_px / 2 + max(-most_px, min(most_px, late_px * TURN_SHARE * 2))
    return Stretch((left.right_px, from_y_px), (right.x_px, to_y_px), turn_px)
