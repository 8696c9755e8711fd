"""The ACLs that agents and their clients need, from what they declare. All else may stay denied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from shieldx.engine.declarations.replayable import Replayable
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from shieldx.engine.declarations.manifests import Topic
    from shieldx.engine.declarations.transactional import AnyAgent

CLIENT = "client"
"""Whom the principal of producers and consumers is named for."""
OPERATOR = "operator"
"""And that of those who look after the system."""
OUTSIDERS = {"clients": CLIENT, "operators": OPERATOR}

Operation = Literal["Read", "Write", "DescribeConfigs"]


class Acl(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a principal may do, from any host. Reading and writing imply Describe, as Kafka has it."""

    principal: str
    resource: Literal["topic", "group", "transactional-id"]
    name: str
    pattern: Literal["literal", "prefixed"] = "literal"
    operation: Operation
    why: str

    @property
    def command(self) -> str:
        """What Kafka's own tool is given to add it, after the address."""
        return (
            f"--add --allow-principal User:{self.principal} --operation {self.operation} "
            f"--{self.resource} {self.name} --resource-pattern-type {self.pattern}"
        )


def acls(
    agents: Iterable[AnyAgent], topics: Mapping[str, Topic], *, application: str, principal_prefix: str
) -> list[Acl]:
    """Every ACL, by principal; no two of them are the same but for the reason."""
    known = list(agents)
    wanted = [acl for agent in known for acl in _of_agent(agent, topics, application, principal_prefix + agent.name)]
    wanted += _of_client(known, topics, principal_prefix + CLIENT)
    wanted += _of_operator(known, topics, principal_prefix + OPERATOR)
    return list({_key(acl): acl for acl in reversed(wanted)}.values())[::-1]


def _of_agent(agent: AnyAgent, topics: Mapping[str, Topic], application: str, principal: str) -> Iterator[Acl]:
    group = f"{application}.{agent.name}"
    yield from _on_topics(principal, "Read", agent.reads, "its inputs")
    yield Acl(principal=principal, resource="group", name=group, operation="Read", why="its group, and its lag")
    looked_at = agent.topics
    if isinstance(agent, TransactionalAgent):
        looked_at = (*agent.topics, DEAD_LETTERS)
        yield from _on_topics(principal, "Write", agent.reads, "ticks, and what it forwards to its home")
        yield from _on_topics(principal, "Read", agent.tables, "its state")
        yield from _on_topics(principal, "Write", agent.tables, "its state")
        yield from _on_topics(principal, "Read", (agent.positions,), "how far it has read")
        yield from _on_topics(principal, "Write", (agent.positions,), "how far it has read")
        yield from _on_topics(principal, "Write", agent.writes, "its outputs")
        yield from _on_topics(principal, "Write", (DEAD_LETTERS,), "what it sets aside")
        yield from _on_topics(principal, "Write", _reply_topics(topics), "replies that a sender asked for")
        yield Acl(
            principal=principal,
            resource="transactional-id",
            name=f"{group}.",
            pattern="prefixed",
            operation="Write",
            why="a transactional producer for each partition",
        )
    elif isinstance(agent, Replayable):
        looked_at = (*agent.topics, DEAD_LETTERS)
        yield from _on_topics(principal, "Read", agent.looks_up, "what it looks up")
        yield from _on_topics(principal, "Write", agent.writes, "its outputs")
        yield from _on_topics(principal, "Write", (DEAD_LETTERS,), "what it sets aside")
    yield from _on_topics(principal, "DescribeConfigs", looked_at, "the check of topics at its start")


def _of_client(agents: Collection[AnyAgent], topics: Mapping[str, Topic], principal: str) -> Iterator[Acl]:
    """What a producer of commands and a consumer of results need."""
    inputs, results = _from_outside(agents, topics, CLIENT)
    yield from _on_topics(principal, "Write", inputs, "commands")
    yield from _on_topics(principal, "Read", results, "results")
    yield from _on_topics(principal, "Read", _reply_topics(topics), "replies")
    yield Acl(
        principal=principal,
        resource="group",
        name=principal,
        pattern="prefixed",
        operation="Read",
        why="consumers in a group; its name begins with the user's",
    )


def _of_operator(agents: Collection[AnyAgent], topics: Mapping[str, Topic], principal: str) -> Iterator[Acl]:
    """What those need who look after the system, beside what an administrator of Kafka may do."""
    inputs, results = _from_outside(agents, topics, OPERATOR)
    yield from _on_topics(principal, "Write", inputs, "orders")
    yield from _on_topics(principal, "Read", results, "what only they may read")


def _from_outside(agents: Collection[AnyAgent], topics: Mapping[str, Topic], who: str) -> tuple[list[str], list[str]]:
    """The topics that somebody writes who is no agent, and those that he reads."""
    folding = [agent for agent in agents if isinstance(agent, TransactionalAgent | Replayable)]
    made_here = {name for agent in folding for name in (*agent.writes, *agent.tables)} | set(_reply_topics(topics))
    read_here = {name for agent in agents for name in agent.reads}
    writers = {name: CLIENT for agent in folding for name in agent.reads if name not in made_here}
    readers = {
        agent.writes[0]: CLIENT
        for agent in folding
        if agent.writes and (isinstance(agent, TransactionalAgent) or agent.writes[0] not in read_here)
    }
    for name in dict.fromkeys(name for agent in folding for name in agent.topics if name in topics):
        topic = topics[name]
        if topic.writers is not None:
            writers[name] = OUTSIDERS[topic.writers]
        if topic.readers is not None:
            readers[name] = OUTSIDERS[topic.readers]
    return [name for name, whose in writers.items() if whose == who], [
        name for name, whose in readers.items() if whose == who
    ]


def _reply_topics(topics: Mapping[str, Topic]) -> Iterator[str]:
    return (name for name, topic in topics.items() if topic.accepts_replies)


def _on_topics(principal: str, operation: Operation, names: Iterable[str], why: str) -> Iterator[Acl]:
    for name in names:
        yield Acl(principal=principal, resource="topic", name=name, operation=operation, why=why)


def _key(acl: Acl) -> tuple[str, ...]:
    return acl.principal, acl.resource, acl.name, acl.pattern, acl.operation
