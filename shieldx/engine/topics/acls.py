"""The ACLs that agents and their clients need, derived from declarations. Everything else may stay denied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from shieldx.engine.declarations.agent import topics_of
from shieldx.engine.declarations.replies import reply_topics
from shieldx.engine.topics.outsiders import access_from_outside
from shieldx.engine.topics.partition_count import agents_behind
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.declarations.manifests import Outsiders, Topic
    from shieldx.engine.topics.outsiders import Access

CLIENT = "client"
"""Name of the principal of producers and consumers, after the prefix."""
OPERATOR = "operator"
"""Name of the operators' principal, after the prefix."""

Operation = Literal["Read", "Write", "DescribeConfigs"]


class Acl(msgspec.Struct, frozen=True, kw_only=True):
    """One permission of a principal, from any host. Reading and writing imply Describe, as in Kafka."""

    principal: str
    resource: Literal["topic", "group", "transactional-id"]
    name: str
    pattern: Literal["literal", "prefixed"] = "literal"
    operation: Operation
    why: str

    @property
    def command(self) -> str:
        """The arguments of Kafka's own tool that add it, after the address."""
        return (
            f"--add --allow-principal User:{self.principal} --operation {self.operation} "
            f"--{self.resource} {self.name} --resource-pattern-type {self.pattern}"
        )


def acls(agents: Iterable[Agent], topics: Mapping[str, Topic], *, application: str, principal_prefix: str) -> list[Acl]:
    """Every ACL, by principal. No two of them differ only in the reason."""
    known = list(agents)
    replies = [name for name, topic in topics.items() if topic.accepts_replies]
    outside = access_from_outside(known, topics)
    wanted = [
        acl for agent in known for acl in _of_agent(agent, known, topics, application, principal_prefix + agent.name)
    ]
    wanted += _of_client(outside, replies, principal_prefix + CLIENT)
    wanted += _of_operator(outside, principal_prefix + OPERATOR)
    return list({_key(acl): acl for acl in reversed(wanted)}.values())[::-1]


def _of_agent(
    agent: Agent, agents: Iterable[Agent], topics: Mapping[str, Topic], application: str, principal: str
) -> Iterator[Acl]:
    group = f"{application}.{agent.name}"
    behind = [str(each.positions) for each in agents_behind(agent, agents) if each.name != agent.name]
    positions = () if agent.positions is None else (agent.positions,)
    letters = (DEAD_LETTERS,) if agent.sets_aside else ()
    yield from _on_topics(principal, "Read", agent.inputs, "its inputs")
    yield Acl(principal=principal, resource="group", name=group, operation="Read", why="its group, and its lag")
    yield from _on_topics(principal, "Read", agent.looks_up, "what it looks up")
    yield from _on_topics(principal, "Write", agent.returns_to, "ticks, and what it forwards to its home")
    yield from _on_topics(principal, "Read", agent.tables, "its state")
    yield from _on_topics(principal, "Write", agent.tables, "its state")
    yield from _on_topics(principal, "Read", positions, "how far it has read")
    yield from _on_topics(principal, "Write", positions, "how far it has read")
    yield from _on_topics(principal, "Read", behind, "with how many partitions its inputs were written")
    yield from _on_topics(principal, "Write", agent.writes, "its outputs")
    yield from _on_topics(principal, "Write", letters, "what it sets aside")
    if agent.sends_replies:
        replies = reply_topics(agent.name, topics)
        yield from _on_topics(principal, "Write", sorted(replies), "replies that a sender asked for")
    if agent.uses_transactions:
        yield Acl(
            principal=principal,
            resource="transactional-id",
            name=f"{group}.",
            pattern="prefixed",
            operation="Write",
            why="a transactional producer for each partition",
        )
    yield from _on_topics(
        principal, "DescribeConfigs", (*topics_of(agent), *letters), "the check of topics at its start"
    )


def _of_client(outside: Access, replies: Iterable[str], principal: str) -> Iterator[Acl]:
    """The ACLs of a producer of commands and a consumer of results."""
    read = _whose(outside.readers, "clients")
    yield from _on_topics(principal, "Write", _whose(outside.writers, "clients"), "commands")
    yield from _on_topics(principal, "Read", (name for name in read if name not in replies), "results")
    yield from _on_topics(principal, "Read", (name for name in read if name in replies), "replies")
    yield Acl(
        principal=principal,
        resource="group",
        name=principal,
        pattern="prefixed",
        operation="Read",
        why="consumers in a group; its name begins with the user's",
    )


def _of_operator(outside: Access, principal: str) -> Iterator[Acl]:
    """The ACLs of operators, in addition to those of a Kafka administrator."""
    yield from _on_topics(principal, "Write", _whose(outside.writers, "operators"), "orders")
    yield from _on_topics(principal, "Read", _whose(outside.readers, "operators"), "what only they may read")


def _whose(access: Mapping[str, Outsiders], whose: Outsiders) -> list[str]:
    return [name for name, who in access.items() if who == whose]


def _on_topics(principal: str, operation: Operation, names: Iterable[str], why: str) -> Iterator[Acl]:
    for name in names:
        yield Acl(principal=principal, resource="topic", name=name, operation=operation, why=why)


def _key(acl: Acl) -> tuple[str, ...]:
    return acl.principal, acl.resource, acl.name, acl.pattern, acl.operation
