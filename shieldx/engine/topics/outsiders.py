"""Who writes and reads topics besides the agents, from what pages and manifests declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.engine.declarations.agent import topics_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.declarations.manifests import Outsiders, Topic


class Access(NamedTuple):
    """Who may write and read each topic, by its name; a topic that only agents touch is in neither."""

    writers: dict[str, Outsiders]
    readers: dict[str, Outsiders]


def access_from_outside(agents: Iterable[Agent], topics: Mapping[str, Topic]) -> Access:
    """What manifests say, and where they say nothing: clients write what agents read and none of them makes, and
    read results, replies, and outputs that no agent reads.
    """  # noqa: D205 - one sentence
    known = list(agents)
    replies = [name for name, topic in topics.items() if topic.accepts_replies]
    inputs = dict.fromkeys(name for agent in known for name in (*agent.reads, *agent.looks_up))
    outputs = dict.fromkeys([*(name for agent in known for name in agent.writes), *replies])
    tables = {name for agent in known for name in agent.tables}
    results = {agent.results for agent in known}
    writers: dict[str, Outsiders] = {name: "clients" for name in inputs if name not in outputs and name not in tables}
    readers: dict[str, Outsiders] = {name: "clients" for name in outputs if name in results or name not in inputs}
    for name in dict.fromkeys([*(name for agent in known for name in topics_of(agent)), *replies]):
        if name in topics:
            declared = topics[name]
            writers |= {} if declared.writers is None else {name: declared.writers}
            readers |= {} if declared.readers is None else {name: declared.readers}
    return Access(writers, readers)
