from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from shieldx.engine.declarations.agent import Agent
from shieldx.topology.graph import Kind
from shieldx.topology.layers import arrange, crossings
from shieldx.topology.placing import place
from tests.topology.declared_agents import BILLING, MIRROR, agent, drawn, sink, topic

if TYPE_CHECKING:
    from shieldx.engine.declarations.agent import Agent
    from shieldx.topology.graph import Graph
    from shieldx.topology.layers import Layers
    from shieldx.topology.placing import Box

NAMES = [f"t{number}" for number in range(8)]
some_topics = st.lists(st.sampled_from(NAMES), max_size=4, unique=True)


@st.composite
def platforms(draw: st.DrawFn) -> Graph:
    agents: list[Agent] = [
        agent(f"agent{number}", reads=draw(some_topics), writes=draw(some_topics), tables=draw(some_topics))
        for number in range(draw(st.integers(0, 3)))
    ]
    agents += [sink(f"sink{n}", reads=draw(some_topics), into=["a", "b"]) for n in range(draw(st.integers(0, 2)))]
    return drawn(agents, **{name: topic() for name in NAMES})


def columns(layers: Layers) -> list[set[str]]:
    return [{stop.node.name for stop in column if stop.node} for column in layers.columns]


def apart(a: Box, b: Box) -> bool:
    return a.right_px < b.x_px or b.right_px < a.x_px or a.y_px + a.height_px < b.y_px or b.y_px + b.height_px < a.y_px


def test_records_flow_from_left_to_right() -> None:
    assert columns(arrange(drawn([BILLING, MIRROR]))) == [
        {"producers"},
        {"orders"},
        {"billing"},
        {"bills", "replies", "dead-letters", "totals", "billing.positions"},
        {"consumers", "mirror"},
        {"Postgres"},
    ]


def test_an_edge_past_a_layer_bends_around_it() -> None:
    first = agent("first", reads=["orders"], writes=["bills"])
    second = agent("second", reads=["bills", "orders"], writes=["checked"])
    paths = arrange(drawn([first, second], checked=topic())).paths
    (long,) = (p for p in paths if p.edge.source.name == "orders" and p.edge.target.name == "second")
    assert [stop.node and stop.node.name for stop in long.stops] == ["orders", None, None, "second"]


def test_a_cycle_of_agents_has_one_backward_edge() -> None:
    circle = [agent("there", reads=["orders"], writes=["bills"]), agent("back", reads=["bills"], writes=["orders"])]
    backward = [path.edge for path in arrange(drawn(circle)).paths if path.backward]
    assert [(e.source.name, e.target.name) for e in backward if e.verb == "writes"] == [("back", "orders")]


def test_crossings_are_combed_out() -> None:
    crossed: list[Agent] = [
        agent("one", reads=["orders"], writes=["t0", "t1"]),
        sink("two", reads=["t1"], into=["a"]),
        sink("three", reads=["t0"], into=["b"]),
    ]
    layers = arrange(drawn(crossed, t0=topic(), t1=topic()))
    assert crossings(layers.columns, layers.paths) == 0


@given(platforms())
@settings(deadline=None, max_examples=50)
def test_each_path_goes_from_layer_to_layer(graph: Graph) -> None:
    layers = arrange(graph)
    number = {stop: index for index, column in enumerate(layers.columns) for stop in column}
    for path in layers.paths:
        first = number[path.stops[0]]
        assert [number[stop] for stop in path.stops] == list(range(first, first + len(path.stops)))
    drawn = {stop.node for column in layers.columns for stop in column if stop.node}
    assert drawn >= {node for node in graph.nodes if node.kind is not Kind.UNUSED}
    assert {path.edge for path in layers.paths} == set(graph.edges)


@given(platforms())
@settings(deadline=None, max_examples=50)
def test_nothing_overlaps(graph: Graph) -> None:
    placement = place(arrange(graph))
    boxes = [box for _, box in placement.boxes]
    assert all(apart(a, b) for a, b in combinations(boxes, 2))
    for line in placement.lines:
        for before, after in zip(line.stretches, line.stretches[1:], strict=False):
            (left_px, y_px), (right_px, after_px) = before.to_px, after.from_px
            assert y_px == after_px
            for box in boxes:
                beside = box.right_px <= left_px or box.x_px >= right_px
                assert beside or not box.y_px < y_px < box.y_px + box.height_px
