"""The interface of an agent of any kind, which every page in `agents/` declares."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from shieldx.engine.declarations.measures import Counter, Gauge, Histogram
    from shieldx.messages import DeadLetterReason


class AgentKind(StrEnum):
    """What commits together with an agent's position."""

    TRANSACTIONAL = "transactional agent"
    """Outputs and tables, in one Kafka transaction."""
    REPLAYABLE = "replayable agent"
    """Nothing: answering a record again does no harm."""
    SINK = "sink"
    """Rows, in one database transaction."""


@runtime_checkable
class Agent(Protocol):
    """The interface of an agent. Only the agent itself needs to know its kind."""

    @property
    def name(self) -> str:
        """Its name, which its consumer group and its Kafka user have too."""

    @property
    def kind(self) -> AgentKind:
        """Its kind, for messages and drawings."""

    @property
    def about(self) -> str:
        """One sentence about its kind."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Its input topics; it keeps a position in each."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """All topics that its tasks read with a position: `reads`, and a topic of ticks if it has one of its own."""

    @property
    def looks_up(self) -> tuple[str, ...]:
        """Topics that it reads without keeping a position."""

    @property
    def writes(self) -> tuple[str, ...]:
        """Topics of its outputs."""

    @property
    def results(self) -> str | None:
        """The one of `writes` that holds its answers."""

    @property
    def returns_to(self) -> tuple[str, ...]:
        """Inputs that it also writes: it appends ticks, and forwards misplaced records to their home partition."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Topics that contain its state."""

    @property
    def positions(self) -> str | None:
        """The topic that holds its positions, if that is not its consumer group or a database."""

    @property
    def sets_aside(self) -> bool:
        """Whether it writes what it cannot process to `dead-letters`."""

    @property
    def dead_letter_reasons(self) -> tuple[DeadLetterReason, ...]:
        """The domain's reasons for dead letters, in addition to the engine's own."""

    @property
    def sends_replies(self) -> bool:
        """Whether it copies a result to the topic that a sender names in the header `reply-to`."""

    @property
    def uses_transactions(self) -> bool:
        """Whether it has a transactional producer for each partition."""

    @property
    def needs_postgres(self) -> bool:
        """Whether it needs a database."""

    @property
    def sql_tables(self) -> tuple[str, ...]:
        """The tables of that database that it writes."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the settings and resources that its worker passes to it."""

    @property
    def counters(self) -> tuple[Counter, ...]:
        """Counters of its outputs."""

    @property
    def gauges(self) -> tuple[Gauge, ...]:
        """Gauges of its outputs."""

    @property
    def histograms(self) -> tuple[Histogram, ...]:
        """Histograms of its outputs."""


def state_topics_of(agent: Agent) -> tuple[str, ...]:
    """The topics that hold an agent's state: its tables and its positions."""
    return agent.tables if agent.positions is None else (*agent.tables, agent.positions)


def topics_of(agent: Agent) -> tuple[str, ...]:
    """Every topic that an agent uses and that a manifest must declare."""
    return (*agent.inputs, *agent.looks_up, *agent.writes, *state_topics_of(agent))
