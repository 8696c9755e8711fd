"""Creates something for an agent, in a way of its own for each kind. Only here does the kind decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from shieldx.engine.declarations.replayable import Replayable
from shieldx.engine.declarations.sink import Sink
from shieldx.engine.declarations.transactional import TransactionalAgent

if TYPE_CHECKING:
    from shieldx.engine.declarations.agent import Agent

Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)


class Makers(Protocol[Made_co]):
    """Creates something for an agent, such as its worker, with one method for each kind."""

    def of_transactional(self, agent: TransactionalAgent, /) -> Made_co:
        """Create it for a transactional agent."""

    def of_replayable(self, agent: Replayable, /) -> Made_co:
        """Create it for a replayable agent."""

    def of_sink(self, agent: Sink, /) -> Made_co:
        """Create it for a sink."""


def make(agent: Agent, makers: Makers[Made]) -> Made:
    """Call the maker for the agent's kind.

    Raises:
        TypeError: the agent is of none of the three kinds.
    """
    match agent:
        case TransactionalAgent():
            return makers.of_transactional(agent)
        case Replayable():
            return makers.of_replayable(agent)
        case Sink():
            return makers.of_sink(agent)
    raise TypeError(f"agent {agent.name!r} is a {type(agent).__name__}, which is not a kind of agent")
