"""Declares an agent whose outputs, tables and positions commit in one Kafka transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from shieldx.engine.declarations.agent import AgentKind
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.declarations.fold import Fold
    from shieldx.engine.declarations.measures import Counter, Gauge, Histogram
    from shieldx.messages import DeadLetterReason, Envelope, Output, Source
    from shieldx.state.table import TableSpec


@dataclass(frozen=True, kw_only=True)
class TransactionalAgent:
    """A transactional agent: partition n of every input, its tables, and its outputs, commit together."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    """Topics of outputs; the first is the topic of results."""
    answers: tuple[str, ...] = ()
    """Those of `writes` whose records `reply-to` copies; empty: only the topic of results."""
    unreadable: Callable[[Envelope, Source], Output] | None = None
    """Makes the answer to a message of a strict topic that cannot be executed; None: such a message is only set aside.
    It is pure, and what it answers changes no state: the same command, mended, is executed."""
    state: tuple[TableSpec[Any], ...] = ()
    """The tables of its state. The engine restores them before it creates the fold."""
    fold: Callable[..., Fold]
    """Creates the fold of a partition: from a `FoldContext`, and the parameters as keyword arguments."""
    parameters: tuple[str, ...] = ()
    """Settings and resources passed to `fold` as keyword arguments of these names."""
    dead_letter_reasons: tuple[DeadLetterReason, ...] = ()
    """Its reasons for dead letters, in addition to the engine's; docs/reference/dead-letters.md lists them."""
    counters: tuple[Counter, ...] = ()
    gauges: tuple[Gauge, ...] = ()
    histograms: tuple[Histogram, ...] = ()

    names: Callable[[Any], Sequence[str]] | None = None
    """The ids and keys that a message of its inputs uses. Agents that write these inputs may reserve some."""

    reserved: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By input, the agents for which names are reserved that begin with theirs and a slash. Set by `load_declared`."""
    owns: frozenset[str] | None = None
    """The inputs to which it may append ticks and forwarded records; None: all of them. Set by `load_declared`."""

    kind: ClassVar = AgentKind.TRANSACTIONAL
    about: ClassVar = "Results, tables and the position commit in one Kafka transaction."
    looks_up: ClassVar[tuple[str, ...]] = ()
    sets_aside: ClassVar = True
    uses_transactions: ClassVar = True
    needs_postgres: ClassVar = False
    sql_tables: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, agent: Agent) -> TransactionalAgent:
        """Check that an agent is transactional.

        Raises:
            FixConfiguration: it has another kind.
        """
        if not isinstance(agent, cls):
            raise FixConfiguration(
                f"agent {agent.name!r} must be a transactional agent; its page declares a {agent.kind}"
            )
        return agent

    @property
    def results(self) -> str | None:
        """The first of `writes`."""
        return self.writes[0] if self.writes else None

    @property
    def tables(self) -> tuple[str, ...]:
        """Topics of the tables of its state."""
        return tuple(spec.topic for spec in self.state)

    def is_owner_of(self, topic: str) -> bool:
        """Whether the agent may forward records of one of its inputs, since no other agent writes there."""
        return self.owns is None or topic in self.owns

    @property
    def returns_to(self) -> tuple[str, ...]:
        """The inputs that it owns, and its topic of ticks."""
        return tuple(topic for topic in self.inputs if topic == self.ticks or self.is_owner_of(topic))

    @property
    def ticks(self) -> str:
        """The topic that ticks are appended to: the first input that it owns, or one of its own."""
        owned = [topic for topic in self.reads if self.is_owner_of(topic)]
        return owned[0] if owned else f"{self.name}.ticks"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The topics that its tasks read: `reads`, and its topic of ticks if it owns none of them."""
        return self.reads if self.ticks in self.reads else (*self.reads, self.ticks)

    @property
    def positions(self) -> str:
        """The topic of its positions in its inputs."""
        return f"{self.name}.positions"

    @property
    def sends_replies(self) -> bool:
        """Whether it has results."""
        return bool(self.writes)
