"""What a page in `agents/` declares whose outputs, tables and positions commit in one Kafka transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from shieldx.engine.declarations.agent import AgentKind
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shieldx.engine.declarations.agent import Agent, Made, Makers
    from shieldx.engine.declarations.measures import Counter, Gauge, Histogram
    from shieldx.messages import Change, Output, Source
    from shieldx.state.store import StateBatch


class Fold(Protocol):
    """The pure decision of an agent for one partition: no clock, randomness, I/O or environment."""

    @property
    def due_ms(self) -> int | None:
        """The earliest stream time at which `expire` may have something to do, or None."""

    @property
    def size_bytes(self) -> int:
        """About how much memory the state takes."""

    def apply(self, message: Any, source: Source) -> list[Output]:
        """Decide on one message."""

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:
        """Do up to `limit` of what is due by stream time; the flag says that more is."""

    def changes(self) -> Iterator[Change]:
        """Table changes since the last call, each key once."""

    def restore(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Take back one record of a table, in the order of its topic."""

    def flush(self, batch: StateBatch) -> None:
        """Give the store all that it has not taken yet. Only called with a store, and with nothing uncommitted."""

    def flushed(self, *, evict: bool) -> None:
        """The store has taken it. With `evict`, memory keeps nothing that the store has."""


@dataclass(frozen=True, kw_only=True)
class TransactionalAgent:
    """A transactional agent: partition n of every input, its tables, and its outputs, commit together."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    """Topics of outputs; the first is the topic of results, which `reply-to` copies."""
    tables: tuple[str, ...]
    fold: Callable[..., Fold]
    """Makes the fold of a partition: (partition, most bytes a record may have, store on disk if there is one)."""
    parameters: tuple[str, ...] = ()
    """Settings and resources that `fold` is given as well, as keyword arguments of these names."""
    state_format: str = "1"
    """Names what the fold keeps in a store. Change it with the format: checkpoints of another one are not used."""
    counters: tuple[Counter, ...] = ()
    gauges: tuple[Gauge, ...] = ()
    histograms: tuple[Histogram, ...] = ()

    kind: ClassVar = AgentKind.TRANSACTIONAL
    about: ClassVar = "Results, tables and the position commit in one Kafka transaction."
    looks_up: ClassVar[tuple[str, ...]] = ()
    sets_aside: ClassVar = True
    uses_transactions: ClassVar = True
    needs_postgres: ClassVar = False
    sql_tables: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, agent: Agent) -> TransactionalAgent:
        """An agent of any kind as a transactional one.

        Raises:
            FixConfiguration: it is of another kind.
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
    def returns_to(self) -> tuple[str, ...]:
        """Its inputs."""
        return self.reads

    @property
    def positions(self) -> str:
        """The topic of its positions in its inputs."""
        return f"{self.name}.positions"

    @property
    def sends_replies(self) -> bool:
        """Whether it has results."""
        return bool(self.writes)

    def make(self, makers: Makers[Made]) -> Made:
        """Have something made of it."""
        return makers.of_transactional(self)
