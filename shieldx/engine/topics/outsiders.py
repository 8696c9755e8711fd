"""Who writes and reads topics in addition to the agents, derived from pages and manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.engine.declarations.agent import topics_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.declarations.manifests import Outsiders, Topic


class Access(NamedTuple):
    """Who may write and read each topic, by name. A topic that only agents use is in neither."""

    writers: dict[str, Outsiders]
    readers: dict[str, Outsiders]


def access_from_outside(agents: Iterable[Agent], topics: Mapping[str, Topic]) -> Access:
    """Follow the manifests. By default, clients write what agents read and no agent writes, and read answers.

    Answers are replies that no agent reads, and the results of an agent that sends replies, or that no agent reads.
    """
    known = list(agents)
    replies = [name for name, topic in topics.items() if topic.accepts_replies]
    inputs = dict.fromkeys(name for agent in known for name in (*agent.reads, *agent.looks_up))
    made = {*replies, *(name for agent in known for name in (*agent.writes, *agent.tables))}
    writers: dict[str, Outsiders] = {name: "clients" for name in inputs if name not in made}
    readers: dict[str, Outsiders] = {
        agent.results: "clients"
        for agent in known
        if agent.results is not None and (agent.sends_replies or agent.results not in inputs)
    }
    readers |= {name: "clients" for name in replies if name not in inputs}
    for name in dict.fromkeys([*(name for agent in known for name in topics_of(agent)), *replies]):
        if name in topics:
            declared = topics[name]
            writers |= {} if declared.writers is None else {name: declared.writers}
            readers |= {} if declared.readers is None else {name: declared.readers}
    return Access(writers, readers)
