"""What a page in `agents/` declares whose work does no harm when it is done again: no state, no transactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from prometheus_client import CollectorRegistry

    from shieldx.engine.declarations.measures import Counter, Gauge
    from shieldx.messages import Output, Source


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a worker gives to what answers."""

    connection: Mapping[str, Any]
    """For clients of aiokafka."""
    processes: int
    """How many processes may work at once."""
    registry: CollectorRegistry
    """The worker's, for metrics beside the engine's. A name can be registered once."""

    @property
    def concurrency(self) -> int:
        """Records that are answered at once: while one is encoded and sent, another one keeps its process busy."""
        return 2 * self.processes


class Answering(Protocol):
    """Answers messages, many at once and in any order."""

    def answer(self, message: Any, source: Source) -> Awaitable[Sequence[Output]]:
        """What to write because of a message. The same message may be answered again, by another worker too.

        What is raised is taken for an outage or a defect: the message is tried again, later. FixConfiguration ends
        the worker.
        """


@dataclass(frozen=True, kw_only=True)
class Replayable:
    """A replayable agent: each record is answered at least once; outputs go to the partition number of their input."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    answering: Callable[[Resources], AbstractAsyncContextManager[Answering]]
    """Made once a worker; entered before the first record and left after the last."""
    looks_up: tuple[str, ...] = ()
    """Topics that it reads by itself, without a position in them."""
    counters: tuple[Counter, ...] = ()
    gauges: tuple[Gauge, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        """Topics that hold state: none."""
        return ()

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that the agent touches."""
        return (*self.reads, *self.looks_up, *self.writes)
