"""Everything that pages and manifests declare: agents with the inputs they own, and topics, including the engine's."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shieldx.engine.declarations.manifests import Topic, load_manifests
from shieldx.engine.declarations.pages import Page, load_pages
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from shieldx.engine.declarations.agent import Agent


@dataclass(frozen=True)
class Declared:
    """Everything that pages and manifests declare."""

    pages: dict[str, Page]
    topics: dict[str, Topic]

    @property
    def agents(self) -> dict[str, Agent]:
        """The agents by name."""
        return {name: page.agent for name, page in self.pages.items()}


def load_declared(home: Path, extensions: Iterable[Path] = ()) -> Declared:
    """Load every page and manifest in `home`, which has the folders agents/ and topics/.

    `extensions` are folders of the same structure that add agents and topics. Their pages import modules from the
    folder itself.

    Raises:
        FixConfiguration: a page or a manifest is invalid, or two of them declare the same name.
    """
    manifests = load_manifests(home / "topics")
    pages = load_pages(home / "agents")
    for extension in extensions:
        if str(extension) not in sys.path:
            sys.path.append(str(extension))
        _add(manifests, load_manifests(extension / "topics"), "topic", extension)
        _add(pages, load_pages(extension / "agents"), "agent", extension)
    pages = resolve_owners(pages, manifests)
    return Declared(pages, internal_topics(page.agent for page in pages.values()) | manifests)


def _add(declared: dict[str, Any], more: Mapping[str, Any], what: str, extension: Path) -> None:
    for name in more:
        if name in declared:
            raise FixConfiguration(f"{extension} declares {what} {name!r}, which is already declared; rename it")
    declared.update(more)


def resolve_owners(pages: Mapping[str, Page], topics: Mapping[str, Topic]) -> dict[str, Page]:
    """Set the inputs that each agent owns.

    An agent owns an input that people or clients write (`writers` of the manifest), or that no agent writes. If several
    agents read it, the first one by name owns it. Only the owner appends ticks and forwarded records to a topic: they
    must not appear among another agent's results.
    """
    written = {topic for page in pages.values() for topic in (*page.agent.writes, *page.agent.tables)}
    owners: dict[str, str] = {}
    for name in sorted(pages):
        agent = pages[name].agent
        for topic in agent.reads if isinstance(agent, TransactionalAgent) else ():
            if topic not in written or (topic in topics and topics[topic].writers is not None):
                owners.setdefault(topic, name)
    return {name: page._replace(agent=_owning(page.agent, owners)) for name, page in pages.items()}


def _owning(agent: Agent, owners: Mapping[str, str]) -> Agent:
    if not isinstance(agent, TransactionalAgent):
        return agent
    return replace(agent, owns=frozenset(topic for topic in agent.reads if owners.get(topic) == agent.name))


def internal_topics(agents: Iterable[Agent]) -> dict[str, Topic]:
    """The topics of positions, and of ticks where an agent owns no input, by name."""
    topics: dict[str, Topic] = {}
    for agent in agents:
        if agent.positions is not None:
            topics[agent.positions] = Topic(
                about=f"How far {agent.name} has read its inputs; written with its outputs, in the same transaction.",
                key="input topic",
                cleanup="compact",
                timestamps="broker",
                segment="1h",
            )
        for ticks in set(agent.inputs) - set(agent.reads):
            topics[ticks] = Topic(
                about=f"Lets stream time pass for {agent.name}, whose inputs other agents write.",
                key="none",
                cleanup="delete",
                retention="1d",
                timestamps="broker",
            )
    return topics
