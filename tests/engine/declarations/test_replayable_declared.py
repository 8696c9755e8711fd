"""What follows from the declaration of a replayable agent alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from shieldx.engine.declarations.agent import Agent, load_agents
from shieldx.engine.declarations.manifests import Topic, load_manifests
from shieldx.engine.declarations.replayable import Replayable, Resources
from shieldx.engine.topics.acls import acls
from shieldx.errors import FixConfiguration
from shieldx.topology.graph import CONSUMERS, PRODUCERS, Kind, Verb, draw_up
from shieldx.topology.mermaid import mermaid
from shieldx.topology.svg import svg
from shieldx.topology.text import text
from shieldx.topology.words import describe
from tests.engine.echo_agent import Names, new_names, write_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOPICS = {
    name: Topic(about="Anything.", key="any", cleanup="delete")
    for name in ("in", "out", "samples", "dead-letters", "reports", "after.positions")
}


def never(resources: Resources) -> Any:
    raise AssertionError(resources)


EVALUATING = Replayable(name="evaluating", reads=("in",), writes=("out",), looks_up=("samples",), answering=never)
AFTER = Agent(name="after", reads=("out",), writes=("reports",), tables=(), fold=never)


@pytest.fixture(autouse=True)
def forget_pages() -> Iterator[None]:
    yield
    sys.modules.pop("shieldx_agents.echo", None)


def of(principal: str, *agents: Agent | Replayable) -> set[tuple[str, str, str]]:
    listed = acls(agents, TOPICS, application="app", principal_prefix="p-")
    return {(acl.operation, acl.resource, acl.name) for acl in listed if acl.principal == principal}


def test_a_page_declares_it(tmp_path: Path) -> None:
    names = new_names()
    home = write_home(tmp_path, names)
    agent = load_agents(home / "agents")[names.agent]
    assert isinstance(agent, Replayable)
    assert agent.topics == (names.asks, names.echoes)
    assert set(load_manifests(home / "topics")) == {names.asks, names.echoes, "dead-letters"}


def test_a_page_that_declares_nothing_is_refused(tmp_path: Path) -> None:
    home = write_home(tmp_path, Names("a", "b", "c"))
    (home / "agents" / "echo.py").write_text("agent = print\n")
    with pytest.raises(FixConfiguration, match=r"echo\.py defines no `agent`"):
        load_agents(home / "agents")


def test_two_records_at_once_for_each_process() -> None:
    assert Resources(connection={}, processes=8, registry=CollectorRegistry()).concurrency == 16


def test_it_writes_its_outputs_and_dead_letters_and_nothing_else() -> None:
    assert of("p-evaluating", EVALUATING, AFTER) == {
        ("Read", "topic", "in"),
        ("Read", "group", "app.evaluating"),
        ("Read", "topic", "samples"),
        ("Write", "topic", "out"),
        ("Write", "topic", "dead-letters"),
        *(("DescribeConfigs", "topic", name) for name in ("in", "out", "samples", "dead-letters")),
    }


def test_clients_send_what_it_reads_and_read_what_no_agent_reads() -> None:
    assert ("Write", "topic", "in") in of("p-client", EVALUATING, AFTER)
    assert ("Read", "topic", "out") not in of("p-client", EVALUATING, AFTER)
    assert ("Read", "topic", "out") in of("p-client", EVALUATING)


def test_it_is_drawn_with_what_it_reads_looks_up_and_writes() -> None:
    graph = draw_up([EVALUATING, AFTER], TOPICS)
    (node,) = [node for node in graph.nodes if node.kind is Kind.REPLAYABLE]
    edges = {
        (edge.source.name, edge.verb, edge.target.name) for edge in graph.edges if node in (edge.source, edge.target)
    }
    assert edges == {
        ("in", Verb.READS, "evaluating"),
        ("samples", Verb.LOOKS_UP, "evaluating"),
        ("evaluating", Verb.WRITES, "out"),
        ("evaluating", Verb.WRITES, "dead-letters"),
    }
    outside = {(e.source.name, e.target.name) for e in graph.edges if {e.source, e.target} & {PRODUCERS, CONSUMERS}}
    assert {("producers", "in"), ("producers", "samples")} <= outside
    assert ("out", "consumers") not in outside


def test_every_drawing_names_it_and_what_it_looks_up() -> None:
    graph = draw_up([EVALUATING, AFTER], TOPICS)
    assert "Replayable agent evaluating reads in, looks up samples and writes out and dead-letters." in describe(graph)
    assert "evaluating  replayable agent" in text(graph)
    assert "looks up" in text(graph)
    assert "-. looked up .->" in mermaid(graph)
    assert ">looked up</text>" in svg(graph)
    assert ">replayable agent</text>" in svg(graph)
