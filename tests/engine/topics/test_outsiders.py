"""Who is outside follows from pages and manifests alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from shieldx.engine.declarations.declared import load_declared
from shieldx.engine.declarations.manifests import Topic, load_manifests
from shieldx.engine.declarations.pages import load_agents
from shieldx.engine.declarations.replayable import Replayable
from shieldx.engine.declarations.sink import Sink
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.topics.acls import acls
from shieldx.engine.topics.outsiders import access_from_outside
from shieldx.topology.graph import CONSUMERS, PRODUCERS, draw_up
from tests.engine.table_specs import specs

ROOT = Path(__file__).parents[3]
NAMES = ("in", "samples", "between", "out", "side", "table", "a.positions", "replies", "answers", "dead-letters")
TOPICS = {
    name: Topic(about="", key="any", cleanup="delete", accepts_replies=name in ("replies", "answers")) for name in NAMES
}


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("a declaration runs nothing")


FIRST = TransactionalAgent(
    name="a", reads=("in", "answers"), writes=("out", "between"), state=specs("table"), fold=never
)
SECOND = Replayable(name="b", reads=("between",), writes=("side",), looks_up=("samples",), answering=never)
MIRROR = Sink(name="c", reads=("out", "table"), into=(), rows=never)


def test_clients_write_what_agents_read_and_none_of_them_makes() -> None:
    assert access_from_outside([FIRST, SECOND, MIRROR], TOPICS).writers == {"in": "clients", "samples": "clients"}


def test_clients_read_results_and_replies_unless_they_are_between_agents() -> None:
    readers = access_from_outside([FIRST, SECOND, MIRROR], TOPICS).readers
    assert readers == {"out": "clients", "side": "clients", "replies": "clients"}


def test_a_result_that_another_agent_reads_is_still_for_clients() -> None:
    after = TransactionalAgent(name="d", reads=("out",), writes=(), fold=never)
    assert "out" in access_from_outside([FIRST, after], TOPICS).readers


def test_other_outputs_are_not_for_clients() -> None:
    assert "between" not in access_from_outside([FIRST], TOPICS).readers


@pytest.mark.parametrize("name", ["in", "between", "out"])
def test_a_manifest_says_it_otherwise(name: str) -> None:
    topics = TOPICS | {name: msgspec.structs.replace(TOPICS[name], writers="operators", readers="operators")}
    outside = access_from_outside([FIRST, SECOND, MIRROR], topics)
    assert (outside.writers[name], outside.readers[name]) == ("operators", "operators")


def test_access_lists_and_the_topology_say_the_same_of_the_platform() -> None:
    agents, topics = load_agents(ROOT / "agents").values(), load_manifests(ROOT / "topics")
    outsiders = {"client", "operator"}
    allowed = {
        (acl.operation, acl.name)
        for acl in acls(agents, topics, application="app", principal_prefix="")
        if acl.principal in outsiders and acl.resource == "topic"
    }
    edges = draw_up(agents, topics).edges
    drawn = {("Write", edge.target.name) for edge in edges if edge.source is PRODUCERS}
    drawn |= {("Read", edge.source.name) for edge in edges if edge.target is CONSUMERS}
    assert drawn - allowed == {("Read", "dead-letters")}  # which an administrator reads
    assert allowed <= drawn


@pytest.mark.parametrize("home", [ROOT, ROOT / "examples/bursts", ROOT / "examples/refusals"])
def test_what_outsiders_write_and_a_fold_decides_on_is_read_strictly_and_answered(home: Path) -> None:
    declared = load_declared(ROOT, [] if home == ROOT else [home])
    outside = access_from_outside(declared.agents.values(), declared.topics).writers
    for agent in declared.agents.values():
        if isinstance(agent, TransactionalAgent):
            decided = {name for name in agent.reads if name in outside}
            assert {name for name in agent.reads if declared.topics[name].strict} == decided
            assert agent.name == "bursts" or not decided or agent.unreadable is not None
