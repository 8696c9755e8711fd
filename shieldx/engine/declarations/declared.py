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
    from collections.abc import Collection, Container, Iterable, Mapping
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
    pages = resolve_reserved(resolve_owners(pages, manifests), manifests)
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


def resolve_reserved(pages: Mapping[str, Page], topics: Mapping[str, Topic]) -> dict[str, Page]:
    """Set which names are reserved for whom in the inputs of each agent.

    Where outsiders and agents write one topic, each of these agents has the names that begin with its own and a slash.

    Raises:
        FixConfiguration: a page must say which names its messages use, or a manifest names a signer that cannot sign.
    """
    for name, topic in topics.items():
        _check_signers(name, topic.signed_by, pages)
    shared = {name for name, topic in topics.items() if topic.writers is not None}
    return {name: page._replace(agent=_reserving(page, pages, shared)) for name, page in pages.items()}


def _check_signers(topic: str, signers: Collection[str], pages: Mapping[str, Page]) -> None:
    for name in signers:
        if name not in pages or not isinstance(pages[name].agent, TransactionalAgent):
            raise FixConfiguration(f"topic {topic!r} is signed_by {name!r}, which is no transactional agent")
    for name, page in pages.items():
        if signers and topic in page.agent.reads and not isinstance(page.agent, TransactionalAgent):
            raise FixConfiguration(
                f"{page.path}: agent {name} reads {topic}, whose records are signed, and only transactional agents "
                "check that"
            )


def _reserving(page: Page, pages: Mapping[str, Page], shared: Container[str]) -> Agent:
    agent = page.agent
    if not isinstance(agent, TransactionalAgent):
        return agent
    writers = {
        topic: tuple(name for name, other in pages.items() if topic in other.agent.writes and name != agent.name)
        for topic in agent.reads
        if topic in shared
    }
    reserved = {topic: names for topic, names in writers.items() if names}
    if reserved and agent.names is None:
        topic, names = next(iter(reserved.items()))
        raise FixConfiguration(
            f"{page.path}: agent {names[0]} writes {topic}, and so do outsiders: declare `names`, the ids and keys "
            f"that a message uses, so that those of {names[0]} stay reserved for it"
        )
    return replace(agent, reserved=reserved)


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
                form="shieldx.engine.tasks.position:Position",
                row_lifetime="as long as the topic",
            )
        for ticks in set(agent.inputs) - set(agent.reads):
            topics[ticks] = Topic(
                about=f"Lets stream time pass for {agent.name}, whose inputs other agents write.",
                key="none",
                cleanup="delete",
                retention="1d",
                timestamps="broker",
                form="shieldx.messages:Tick",
            )
    return topics
