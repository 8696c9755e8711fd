from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from shieldx.engine.declarations.declared import load_declared
from shieldx.topology.graph import Graph, Kind, draw_up
from shieldx.topology.mermaid import mermaid
from shieldx.topology.palette import TINTS
from shieldx.topology.svg import svg
from shieldx.topology.text import text
from tests import programs
from tests.topology.declared_agents import BILLING, MIRROR, drawn, topic

ROOT = Path(__file__).parents[2]
NAMESPACE = "{http://www.w3.org/2000/svg}"
HEIGHT_PX = {"name": 13, "note": 11, "note legend": 11}
SMALL = drawn([BILLING, MIRROR], idle=topic())


def platform() -> Graph:
    declared = load_declared(ROOT)
    return draw_up(declared.agents.values(), declared.topics)


def lettering(drawing: str) -> list[tuple[str, float, float, float, float]]:
    """Each text with its rectangle in common fonts: left, top, right, bottom."""
    found = []
    for element in ET.fromstring(drawing).iter(f"{NAMESPACE}text"):  # noqa: S314 - our own drawing
        kind, words = element.attrib["class"], element.text or ""
        x, y, height = float(element.attrib["x"]), float(element.attrib["y"]), HEIGHT_PX[kind]
        width = len(words) * height * (0.602 if kind == "name" else 0.53)
        left = x if "legend" in kind else x - width / 2
        found.append((words, left, y - height, left + width, y))
    return found


def test_there_is_one_tree_per_agent() -> None:
    assert text(SMALL) == (
        "billing  transactional agent\n"
        "├─ reads     orders             input, kept 7 d             ◀ producers\n"
        "├─ forwards  orders             misplaced records, once\n"
        "├─ writes    bills              result, kept 7 d            ▶ mirror, consumers\n"
        "├─ writes    replies            replies, kept 1 d           ▶ consumers\n"
        "├─ writes    dead-letters       dead letters, kept 30 d     ▶ consumers\n"
        "├─ keeps     totals             table, compacted            ▶ mirror\n"
        "└─ keeps     billing.positions  table, compacted\n"
        "\n"
        "mirror  sink\n"
        "├─ reads     bills              result, kept 7 d            ◀ billing\n"
        "├─ reads     totals             table, compacted            ◀ billing\n"
        "└─ writes    billing.bills      in Postgres\n"
        "\n"
        "no agent\n"
        "└─           idle               unused topic, kept forever\n"
    )


def test_the_platform_s_own_tree_fits_a_terminal() -> None:
    assert max(map(len, text(platform()).splitlines())) <= 100


def test_a_flowchart() -> None:
    lines = mermaid(SMALL).splitlines()
    assert lines[:4] == [
        "flowchart LR",
        '  n1_producers[/"producers"/]:::producers',
        '  n2_orders(["orders<br/>input, kept 7 d"]):::input',
        '  n3_billing["billing<br/>transactional agent"]:::agent',
    ]
    assert '  n7_totals[("totals<br/>table, compacted")]:::table' in lines
    assert "  n3_billing -. misplaced, once .-> n2_orders" in lines
    assert "  n3_billing <--> n7_totals" in lines
    assert "  n3_billing <--> n8_billing_positions" in lines
    assert '  n11_Postgres[("Postgres<br/>billing.bills")]:::database' in lines


def test_a_flowchart_s_ids_are_words_and_differ() -> None:
    names = [line.split("[")[0].split("(")[0].strip() for line in mermaid(platform()).splitlines() if ":::" in line]
    assert all(re.fullmatch(r"\w+", name, re.ASCII) for name in names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("graph", [SMALL, platform(), drawn([])], ids=["small", "own", "no agent"])
def test_no_texts_overlap_or_leave_the_picture(graph: Graph) -> None:
    drawing = svg(graph)
    found = lettering(drawing)
    for (a, *first), (b, *second) in combinations(found, 2):
        beside = first[2] <= second[0] or second[2] <= first[0]
        assert beside or first[3] <= second[1] or second[3] <= first[1], f"{a!r} overlaps {b!r}"
    width = float(ET.fromstring(drawing).attrib["width"])  # noqa: S314 - our own drawing
    assert all(left > -22 and right < width - 22 for _, left, _, right, _ in found)


def test_every_kind_has_a_colour_in_light_and_dark_mode() -> None:
    drawing = svg(SMALL)
    light, _, dark = drawing.partition("@media (prefers-color-scheme: dark)")
    for kind in {node.kind for node in SMALL.nodes}:
        name = kind.replace(" ", "-")
        assert f".{name} {{ fill: {TINTS[kind].fill}; stroke: {TINTS[kind].stroke} }}" in light
        assert f".{name} {{ fill: {TINTS[kind].dark_fill}; stroke: {TINTS[kind].dark_stroke} }}" in dark
    assert set(TINTS) == set(Kind)


def test_a_drawing_says_what_it_shows_and_loads_nothing() -> None:
    drawing = svg(SMALL)
    root = ET.fromstring(drawing)  # noqa: S314 - our own drawing
    assert root.attrib["role"] == "img"
    described = {child.attrib.get("id"): child.text for child in root}
    assert [described[name] for name in root.attrib["aria-labelledby"].split()] == [
        "The agents and topics of ShieldX",
        described["description"],
    ]
    assert "Sink mirror reads bills and totals" in str(described["description"])
    assert not re.search(r"href|url\(|@import|<script", drawing)


def test_the_same_graph_gives_the_same_bytes_whatever_the_hash_seed() -> None:
    program = (
        "from tests.topology.declared_agents import BILLING, MIRROR, drawn; from shieldx.topology.svg import svg; "
        "print(svg(drawn([BILLING, MIRROR])))"
    )
    drawn = {programs.run_python(program, env={"PYTHONHASHSEED": seed}, check=True).stdout for seed in ("1", "2", "3")}
    assert len(drawn) == 1
