"""Declares an agent without state or transactions, for work that may be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from shieldx.engine.declarations.agent import AgentKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from prometheus_client import CollectorRegistry

    from shieldx.engine.declarations.measures import Counter, Gauge, Histogram
    from shieldx.messages import DeadLetterReason, Output, Source


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a worker provides to `answering`."""

    connection: Mapping[str, Any]
    """For clients of aiokafka."""
    registry: CollectorRegistry
    """The worker's registry, for metrics in addition to the engine's. A name can be registered only once."""


class Answering(Protocol):
    """Answers messages, many at once and in any order."""

    @property
    def concurrency(self) -> int:
        """How many messages it is asked to answer at once."""

    def answer(self, message: Any, source: Source) -> Awaitable[Sequence[Output]]:
        """The outputs for a message. The same message may be answered again, also by another worker.

        Any exception counts as an outage or a defect, and the message is retried later. FixConfiguration ends the
        worker.
        """


@dataclass(frozen=True, kw_only=True)
class Replayable:
    """A replayable agent: each record is answered at least once; outputs go to the partition number of their input."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    answering: Callable[..., AbstractAsyncContextManager[Answering]]
    """Called with `Resources` once per worker, entered before the first record and exited after the last."""
    parameters: tuple[str, ...] = ()
    """Settings and resources passed to `answering` as keyword arguments of these names."""
    looks_up: tuple[str, ...] = ()
    """Topics that it reads without a position."""
    dead_letter_reasons: tuple[DeadLetterReason, ...] = ()
    """Its reasons for dead letters, in addition to the engine's; docs/reference/dead-letters.md lists them."""
    counters: tuple[Counter, ...] = ()
    gauges: tuple[Gauge, ...] = ()

    kind: ClassVar = AgentKind.REPLAYABLE
    about: ClassVar = "Each record is answered at least once; answering one again does no harm."
    returns_to: ClassVar[tuple[str, ...]] = ()
    tables: ClassVar[tuple[str, ...]] = ()
    positions: ClassVar[str | None] = None
    sets_aside: ClassVar = True
    sends_replies: ClassVar = False
    uses_transactions: ClassVar = False
    needs_postgres: ClassVar = False
    sql_tables: ClassVar[tuple[str, ...]] = ()
    histograms: ClassVar[tuple[Histogram, ...]] = ()

    @property
    def results(self) -> str | None:
        """The first of `writes`."""
        return self.writes[0] if self.writes else None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The same as `reads`."""
        return self.reads
