"""The graph as a self-contained SVG for light and dark pages. The same graph gives the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from shieldx.topology.graph import AGENTS, Kind, Node, Verb
from shieldx.topology.layers import OUTSIDE, arrange
from shieldx.topology.palette import BACKGROUND, LINE, MUTED_TEXT, TEXT, TINTS
from shieldx.topology.placing import CYLINDERS, LID_PX, LINE_PX, NAME_PX, NOTE_PX, Box, note_width_px, place, size_px
from shieldx.topology.words import describe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shieldx.topology.graph import Graph
    from shieldx.topology.placing import Line, Placement, Stretch

TITLE = "The agents and topics of ShieldX"
MARGIN_PX = 22.0
ARROW_PX = (9.0, 4.0)
"""Length, and half the width."""
LEGEND_PX, SWATCH_PX, LEGEND_GAP_PX = 26.0, 26.0, 22.0
UNUSED_GAP_PX = 14.0
LEAST_WIDTH_PX = 480.0
DASHED = frozenset({Kind.PRODUCERS, Kind.CONSUMERS, Kind.UNUSED})
LEGEND = {
    Kind.AGENT: "transactional agent",
    Kind.REPLAYABLE: "replayable agent",
    Kind.SINK: "sink",
    Kind.INPUT: "input topic",
    Kind.RESULT: "result topic",
    Kind.REPLIES: "replies",
    Kind.DEAD_LETTERS: "dead letters",
    Kind.TABLE: "table (also a topic)",
    Kind.DATABASE: "database",
}
WAYS = {
    Verb.WRITES: "records",
    Verb.LOOKS_UP: "looked up",
    Verb.KEEPS: "table (written, and read at start-up)",
    Verb.FORWARDS: "misplaced records, once",
}

DASHED_WAYS = frozenset({Verb.FORWARDS, Verb.LOOKS_UP})


def svg(graph: Graph) -> str:
    """The drawing, ending with a newline."""
    placement = place(arrange(graph))
    drawing = Element("g", {"transform": f"translate({MARGIN_PX:g} {MARGIN_PX:g})"})
    for line in placement.lines:
        _draw_line(drawing, line)
    unused_px = [size_px(node)[0] for node in graph.nodes if node.kind is Kind.UNUSED]
    width_px = max([placement.width_px, LEAST_WIDTH_PX, *unused_px])
    boxes, below_px = _with_unused(graph, placement)
    for node, box in boxes:
        _draw_node(drawing, node, box)
    rows = _legend_rows(graph, width_px)
    for index, row in enumerate(rows):
        _draw_legend_row(drawing, row, below_px + LEGEND_PX * (index + 1.5))
    height_px = below_px + LEGEND_PX * (len(rows) + 1)
    root = _root(graph, width_px + 2 * MARGIN_PX, height_px + 2 * MARGIN_PX)
    root.append(drawing)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _with_unused(graph: Graph, placement: Placement) -> tuple[list[tuple[Node, Box]], float]:
    """All boxes, with unused topics below the others, and the bottom edge."""
    boxes, below_px = list(placement.boxes), placement.height_px
    for node in graph.nodes:
        if node.kind is Kind.UNUSED:
            width_px, height_px = size_px(node)
            boxes.append((node, Box(0.0, below_px + UNUSED_GAP_PX, width_px, height_px)))
            below_px += UNUSED_GAP_PX + height_px
    return boxes, below_px


def _root(graph: Graph, width_px: float, height_px: float) -> Element:
    size = {"width": f"{width_px:g}", "height": f"{height_px:g}"}
    root = Element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width_px:g} {height_px:g}"}
        | size
        | {"role": "img", "aria-labelledby": "title description"},
    )
    SubElement(root, "title", {"id": "title"}).text = TITLE
    SubElement(root, "desc", {"id": "description"}).text = describe(graph)
    SubElement(root, "style").text = _style(graph)
    SubElement(root, "rect", {"class": "background", "rx": "12"} | size)
    return root


def _style(graph: Graph) -> str:
    kinds = dict.fromkeys(node.kind for node in graph.nodes)
    light = [f".{_class(kind)} {{ fill: {TINTS[kind].fill}; stroke: {TINTS[kind].stroke} }}" for kind in kinds]
    dark = [f".{_class(kind)} {{ fill: {TINTS[kind].dark_fill}; stroke: {TINTS[kind].dark_stroke} }}" for kind in kinds]
    fixed = [
        "text { text-anchor: middle }",
        f".name {{ font: 600 {NAME_PX:g}px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }}",
        f".note {{ font: {NOTE_PX:g}px system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif }}",
        ".legend { text-anchor: start }",
        ".shape { stroke-width: 1.4 }",
        ".dashed { stroke-dasharray: 5 4 }",
        ".line { fill: none; stroke-width: 1.4 }",
    ]
    rules = [*fixed, *_page_colours(0), *light]
    night = [*_page_colours(1), *dark]
    lines = [*rules, "@media (prefers-color-scheme: dark) {", *(f"  {rule}" for rule in night), "}"]
    return "\n" + "\n".join(f"    {line}" for line in lines) + "\n  "


def _page_colours(mode: int) -> list[str]:
    return [
        f".background {{ fill: {BACKGROUND[mode]} }}",
        f".name {{ fill: {TEXT[mode]} }}",
        f".note {{ fill: {MUTED_TEXT[mode]} }}",
        f".line {{ stroke: {LINE[mode]} }}",
        f".arrow {{ fill: {LINE[mode]} }}",
    ]


def _class(kind: Kind) -> str:
    return kind.replace(" ", "-")


def _draw_node(parent: Element, node: Node, box: Box) -> None:
    label = f"{node.name}: {node.note}" if node.note else node.name
    group = SubElement(parent, "g")
    SubElement(group, "title").text = node.about or label
    _draw_shape(group, node.kind, box)
    x_px = box.x_px + box.width_px / 2
    middle_px = box.middle_px + (LID_PX if node.kind in CYLINDERS else 0)
    lines = [*([node.note] if node.note else []), *node.lines]
    y_px = middle_px - len(lines) * LINE_PX / 2 + NAME_PX * 0.35
    kind = "note" if node.kind in OUTSIDE else "name"
    _write(group, node.name, x_px, y_px, kind)
    for index, line in enumerate(lines):
        _write(group, line, x_px, y_px + LINE_PX * (index + 1) - 1, "note")


def _write(parent: Element, text: str, x_px: float, y_px: float, kind: str) -> None:
    SubElement(parent, "text", {"class": kind, "x": f"{x_px:g}", "y": f"{y_px:.1f}"}).text = text


def _draw_shape(parent: Element, kind: Kind, box: Box) -> None:
    """Draw agents as rounded boxes, topics as pills, and stores of state as cylinders."""
    classes = {"class": f"shape {_class(kind)}{' dashed' if kind in DASHED else ''}"}
    if kind in CYLINDERS:
        _draw_cylinder(parent, classes, box)
        return
    radius_px = 8.0 if kind in AGENTS else min(box.height_px / 2, 23.0)
    place_and_size = {
        "x": f"{box.x_px:g}",
        "y": f"{box.y_px:g}",
        "width": f"{box.width_px:g}",
        "height": f"{box.height_px:g}",
        "rx": f"{radius_px:g}",
    }
    SubElement(parent, "rect", classes | place_and_size)


def _draw_cylinder(parent: Element, classes: dict[str, str], box: Box) -> None:
    lid_px = min(LID_PX, box.height_px / 5)
    half_px, top_px, bottom_px = box.width_px / 2, box.y_px + lid_px, box.y_px + box.height_px - lid_px
    arc = f"{half_px:g} {lid_px:g} 0 0"
    body = (
        f"M{box.x_px:g} {top_px:g}A{arc} 1 {box.right_px:g} {top_px:g}V{bottom_px:g}"
        f"A{arc} 1 {box.x_px:g} {bottom_px:g}Z"
    )
    lid = f"M{box.x_px:g} {top_px:g}A{arc} 0 {box.right_px:g} {top_px:g}"
    SubElement(parent, "path", classes | {"d": body})
    SubElement(parent, "path", classes | {"d": lid})


def _draw_line(parent: Element, line: Line) -> None:
    """Draw a line that ends below the tips of its arrows; they are horizontal, as the line's ends are."""
    verb = line.path.edge.verb
    to_left = line.path.backward or verb is Verb.KEEPS
    to_right = not line.path.backward
    first, last = line.stretches[0].from_px, line.stretches[-1].to_px
    begin_px = first[0] + (ARROW_PX[0] - 2 if to_left else 0)
    end_px = last[0] - (ARROW_PX[0] - 2 if to_right else 0)
    curve = f"M{begin_px:g} {first[1]:g}" + "".join(map(_curve, line.stretches)) + f"H{end_px:g}"
    group = SubElement(parent, "g")
    SubElement(group, "title").text = f"{line.path.edge.source.name} {verb} {line.path.edge.target.name}"
    SubElement(group, "path", {"class": "line dashed" if verb in DASHED_WAYS else "line", "d": curve})
    if to_left:
        _draw_arrow(group, *first, ARROW_PX[0])
    if to_right:
        _draw_arrow(group, *last, -ARROW_PX[0])


def _curve(stretch: Stretch) -> str:
    """A curve that is horizontal at both ends for the length of an arrow."""
    (from_x, from_y), (to_x, to_y) = stretch.from_px, stretch.to_px
    begin_px, end_px, turn_px = from_x + ARROW_PX[0], to_x - ARROW_PX[0], stretch.turn_px
    return f"H{begin_px:g}C{turn_px:g} {from_y:g} {turn_px:g} {to_y:g} {end_px:g} {to_y:g}"


def _draw_arrow(parent: Element, x_px: float, y_px: float, back_px: float) -> None:
    half_px = ARROW_PX[1]
    path = f"M{x_px:g} {y_px:g}l{back_px:g} {-half_px:g}v{2 * half_px:g}z"
    SubElement(parent, "path", {"class": "arrow", "d": path})


def _legend_rows(graph: Graph, width_px: float) -> list[list[tuple[Kind | Verb, float]]]:
    """The kinds that occur in the graph, in rows that fit, each with its distance from the left."""
    kinds = {node.kind for node in graph.nodes}
    verbs = {edge.verb for edge in graph.edges}
    entries: list[Kind | Verb] = [kind for kind in LEGEND if kind in kinds]
    entries += [verb for verb in WAYS if verb in verbs]
    rows: list[list[tuple[Kind | Verb, float]]] = [[]]
    x_px = 0.0
    for entry in entries:
        entry_px = SWATCH_PX + 8 + note_width_px(_meaning(entry))
        if rows[-1] and x_px + entry_px > width_px:
            rows.append([])
            x_px = 0.0
        rows[-1].append((entry, x_px))
        x_px += entry_px + LEGEND_GAP_PX
    return rows


def _meaning(entry: Kind | Verb) -> str:
    return LEGEND[entry] if isinstance(entry, Kind) else WAYS[entry]


def _draw_legend_row(parent: Element, row: Iterable[tuple[Kind | Verb, float]], y_px: float) -> None:
    for entry, x_px in row:
        if isinstance(entry, Kind):
            _draw_shape(parent, entry, Box(x_px, y_px - 8, SWATCH_PX, 16))
        else:
            classes = "line dashed" if entry in DASHED_WAYS else "line"
            SubElement(parent, "path", {"class": classes, "d": f"M{x_px:g} {y_px:g}h{SWATCH_PX:g}"})
            if entry not in (Verb.WRITES, Verb.LOOKS_UP):
                _draw_arrow(parent, x_px, y_px, ARROW_PX[0])
            if entry is not Verb.FORWARDS:
                _draw_arrow(parent, x_px + SWATCH_PX, y_px, -ARROW_PX[0])
        _write(parent, _meaning(entry), x_px + SWATCH_PX + 8, y_px + NOTE_PX * 0.35, "note legend")
