"""Every kind of agent answers the same questions; what it answers decides what the rest of the platform does."""

from __future__ import annotations

from typing import Any

import pytest

from shieldx.engine.declarations.agent import Agent, AgentKind, state_topics_of, topics_of
from shieldx.engine.declarations.makers import make
from shieldx.engine.declarations.pages import load_agents
from shieldx.engine.declarations.replayable import Replayable
from shieldx.engine.declarations.sink import Sink, SqlTable
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.errors import FixConfiguration
from shieldx.topology.graph import KINDS
from tests.engine.counter_agent import ROOT
from tests.engine.table_specs import specs


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("a declaration runs nothing")


COUNTING = TransactionalAgent(name="counting", reads=("in",), writes=("out", "more"), state=specs("table"), fold=never)
JUDGING = Replayable(name="judging", reads=("in",), writes=("out",), looks_up=("samples",), answering=never)
MIRROR = Sink(name="mirror", reads=("out",), into=(SqlTable(name="a.b", key={}, columns={}),), rows=never)
KNOWN: list[Agent] = [COUNTING, JUDGING, MIRROR]


@pytest.mark.parametrize("agent", KNOWN, ids=lambda agent: agent.name)
def test_each_kind_is_an_agent(agent: Agent) -> None:
    assert isinstance(agent, Agent)
    assert set(agent.returns_to) <= set(agent.reads)
    assert agent.results is None or agent.results in agent.writes
    assert agent.needs_postgres == bool(agent.sql_tables)


def test_what_only_looks_like_an_agent_is_none() -> None:
    assert not isinstance("agent", Agent)


@pytest.mark.parametrize(
    ("agent", "topics", "state"),
    [
        (COUNTING, ("in", "out", "more", "table", "counting.positions"), ("table", "counting.positions")),
        (JUDGING, ("in", "samples", "out"), ()),
        (MIRROR, ("out",), ()),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_topics_that_it_touches_and_those_that_hold_its_state(
    agent: Agent, topics: tuple[str, ...], state: tuple[str, ...]
) -> None:
    assert topics_of(agent) == topics
    assert state_topics_of(agent) == state


class Named:
    """Makes a word of an agent, another one for each kind."""

    def of_transactional(self, agent: TransactionalAgent) -> str:
        return f"transactional {agent.positions}"

    def of_replayable(self, agent: Replayable) -> str:
        return f"replayable {agent.looks_up}"

    def of_sink(self, agent: Sink) -> str:
        return f"sink {agent.sql_tables}"


def test_it_picks_the_maker_of_its_own_kind() -> None:
    assert [make(agent, Named()) for agent in KNOWN] == [
        "transactional counting.positions",
        "replayable ('samples',)",
        "sink ('a.b',)",
    ]


def test_every_kind_can_be_drawn() -> None:
    assert set(KINDS) == set(AgentKind)
    assert {agent.kind for agent in KNOWN} == set(AgentKind)


def test_where_a_transactional_agent_is_needed_another_kind_is_refused() -> None:
    assert TransactionalAgent.of(COUNTING) is COUNTING
    with pytest.raises(
        FixConfiguration, match="agent 'mirror' must be a transactional agent; its page declares a sink"
    ):
        TransactionalAgent.of(MIRROR)


def test_every_page_declares_its_agent_under_the_same_name() -> None:
    kinds = {agent.kind for agent in load_agents(ROOT / "agents").values()}
    assert kinds == set(AgentKind)
