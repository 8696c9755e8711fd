"""ACLs follow from what agents declare, and allow nothing else."""

from __future__ import annotations

from typing import Any

import msgspec

from shieldx.engine.declarations.manifests import Topic
from shieldx.engine.declarations.sink import Sink
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.topics.acls import Acl, acls
from tests.engine.table_specs import specs

TOPICS = {
    name: Topic(about="Anything.", key="any", cleanup="delete", accepts_replies=name == "replies")
    for name in ("in", "out", "more", "table", "dead-letters", "replies", "other")
}


def no_fold(*_: Any) -> Any:
    raise NotImplementedError


FOLDING = TransactionalAgent(name="folding", reads=("in",), writes=("out", "more"), state=specs("table"), fold=no_fold)
SINK = Sink(name="sink", reads=("out", "table"), into=(), rows=lambda *_: ())


def of(principal: str, *agents: TransactionalAgent | Sink) -> set[tuple[str, str, str]]:
    return {
        (acl.operation, acl.resource, acl.name)
        for acl in acls(agents, TOPICS, application="app", principal_prefix="p-")
        if acl.principal == principal
    }


def test_an_agent_reads_inputs_and_tables_and_writes_what_it_causes() -> None:
    assert of("p-folding", FOLDING) == {
        ("Read", "topic", "in"),
        ("Read", "topic", "table"),
        ("Read", "topic", "folding.positions"),
        ("Write", "topic", "folding.positions"),
        ("Write", "topic", "in"),
        ("Write", "topic", "out"),
        ("Write", "topic", "more"),
        ("Write", "topic", "table"),
        ("Write", "topic", "dead-letters"),
        ("Write", "topic", "replies"),
        ("Read", "group", "app.folding"),
        ("Write", "transactional-id", "app.folding."),
        *(
            ("DescribeConfigs", "topic", name)
            for name in ("in", "out", "more", "table", "folding.positions", "dead-letters")
        ),
    }


def test_a_sink_writes_nothing() -> None:
    assert of("p-sink", FOLDING, SINK) == {
        ("Read", "topic", "out"),
        ("Read", "topic", "table"),
        ("Read", "topic", "folding.positions"),
        ("Read", "group", "app.sink"),
        ("DescribeConfigs", "topic", "out"),
        ("DescribeConfigs", "topic", "table"),
    }


def test_a_client_sends_what_no_agent_makes_and_reads_results() -> None:
    after = TransactionalAgent(name="after", reads=("more",), writes=("other",), fold=no_fold)
    assert of("p-client", FOLDING, SINK, after) == {
        ("Write", "topic", "in"),
        ("Read", "topic", "out"),
        ("Read", "topic", "other"),
        ("Read", "topic", "replies"),
        ("Read", "group", "p-client"),
    }


def test_who_beside_the_agents_has_access_may_be_declared() -> None:
    agent = TransactionalAgent(
        name="log", reads=("in", "orders", "made"), writes=("out",), state=specs("made"), fold=no_fold
    )
    names = ("in", "out", "orders", "made", "dead-letters", "log.positions")
    topics = {name: Topic(about="Anything.", key="any", cleanup="delete") for name in names}
    topics["orders"] = msgspec.structs.replace(topics["orders"], writers="operators")
    topics["out"] = msgspec.structs.replace(topics["out"], readers="operators")
    topics["made"] = msgspec.structs.replace(topics["made"], writers="clients", readers="clients")
    found = {
        (acl.principal, acl.operation, acl.name)
        for acl in acls([agent], topics, application="app", principal_prefix="p-")
        if acl.principal in {"p-client", "p-operator"} and acl.resource == "topic"
    }
    assert found == {
        ("p-client", "Write", "in"),
        ("p-client", "Write", "made"),
        ("p-client", "Read", "made"),
        ("p-operator", "Write", "orders"),
        ("p-operator", "Read", "out"),
    }


def test_nothing_is_listed_twice() -> None:
    both = TransactionalAgent(name="both", reads=("in",), writes=("in", "dead-letters"), fold=no_fold)
    found = acls([both], TOPICS, application="app", principal_prefix="")
    keys = [(acl.principal, acl.operation, acl.resource, acl.name) for acl in found]
    assert len(keys) == len(set(keys))


def test_a_command_allows_what_the_acl_says() -> None:
    acl = Acl(principal="p", resource="transactional-id", name="a.", pattern="prefixed", operation="Write", why="any")
    assert acl.command == (
        "--add --allow-principal User:p --operation Write --transactional-id a. --resource-pattern-type prefixed"
    )
