from __future__ import annotations

import pytest

from shieldx.errors import FixConfiguration
from shieldx.topology.graph import Graph, Kind
from shieldx.topology.words import describe
from tests.topology.declared_agents import BILLING, MIRROR, agent, drawn, topic


def edges(graph: Graph) -> set[tuple[str, str, str]]:
    return {(edge.source.name, edge.verb.value, edge.target.name) for edge in graph.edges}


def kinds(graph: Graph) -> dict[str, Kind]:
    return {node.name: node.kind for node in graph.nodes}


def test_an_agent_with_its_topics_and_outside_nodes() -> None:
    graph = drawn([BILLING])
    assert edges(graph) == {
        ("producers", "writes", "orders"),
        ("orders", "is read by", "billing"),
        ("billing", "forwards to", "orders"),
        ("billing", "writes", "bills"),
        ("billing", "writes", "replies"),
        ("billing", "writes", "dead-letters"),
        ("billing", "keeps", "totals"),
        ("billing", "keeps", "billing.positions"),
        ("bills", "is read by", "consumers"),
        ("replies", "is read by", "consumers"),
        ("dead-letters", "is read by", "consumers"),
    }
    assert kinds(graph) == {
        "producers": Kind.PRODUCERS,
        "orders": Kind.INPUT,
        "billing": Kind.AGENT,
        "bills": Kind.RESULT,
        "replies": Kind.REPLIES,
        "dead-letters": Kind.DEAD_LETTERS,
        "totals": Kind.TABLE,
        "billing.positions": Kind.TABLE,
        "consumers": Kind.CONSUMERS,
    }


def test_notes_say_how_long_a_topic_is_kept() -> None:
    notes = {node.name: node.note for node in drawn([BILLING], log=topic()).nodes}
    assert (notes["orders"], notes["totals"], notes["log"]) == (
        "input, kept 7 d",
        "table, compacted",
        "unused topic, kept forever",
    )


def test_a_sink_writes_to_postgres_and_results_still_have_consumers() -> None:
    graph = drawn([BILLING, MIRROR])
    assert edges(graph) - edges(drawn([BILLING])) == {
        ("bills", "is read by", "mirror"),
        ("totals", "is read by", "mirror"),
        ("mirror", "writes", "Postgres"),
    }
    assert ("bills", "is read by", "consumers") in edges(graph)
    assert next(node.lines for node in graph.nodes if node.kind is Kind.DATABASE) == ("billing.bills",)


def test_a_topic_between_two_agents_has_no_outside_nodes() -> None:
    first = agent("first", reads=["orders"], writes=["bills", "checks"])
    second = agent("second", reads=["checks"], writes=["checked"])
    graph = drawn([first, second], checks=topic(), checked=topic())
    assert ("producers", "writes", "checks") not in edges(graph)
    assert ("checks", "is read by", "consumers") not in edges(graph)
    assert kinds(graph)["checks"] is Kind.INPUT


@pytest.mark.parametrize(
    "wrong", [agent("a", reads=["none"]), agent("a", reads=[], writes=["none"]), agent("a", reads=[], tables=["none"])]
)
def test_a_topic_that_no_manifest_declares(wrong: object) -> None:
    with pytest.raises(FixConfiguration, match="no manifest declares topic 'none' of agent 'a'"):
        drawn([wrong])  # type: ignore[list-item]


def test_there_is_one_sentence_per_agent() -> None:
    assert describe(drawn([BILLING, MIRROR])) == (
        "Transactional agent billing reads orders, writes bills, replies and dead-letters and keeps the tables totals "
        "and billing.positions. "
        "Sink mirror reads bills and totals and writes billing.bills in Postgres."
    )
