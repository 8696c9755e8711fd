"""What a page in `agents/` declares."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from shieldx.engine.declarations.replayable import Replayable
from shieldx.engine.declarations.sink import Sink
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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
class Agent:
    """A transactional agent: partition n of every input, its tables, and its outputs, commit together."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    """Topics of outputs; the first is the topic of results, which `reply-to` copies."""
    tables: tuple[str, ...]
    fold: Callable[..., Fold]
    """Makes the fold of a partition: (partition, most bytes a record may have, store on disk if there is one)."""
    takes_keyring: bool = False
    """Whether `fold` is given the keyring as well: `keys` by id, and the `first_key_id`."""
    takes_settings: tuple[str, ...] = ()
    """Settings whose values `fold` is given as well, each under its name."""
    state_format: str = "1"
    """Names what the fold keeps in a store. Change it with the format: checkpoints of another one are not used."""
    counters: tuple[Counter, ...] = ()
    gauges: tuple[Gauge, ...] = ()
    histograms: tuple[Histogram, ...] = ()

    @property
    def positions(self) -> str:
        """The topic of its positions in its inputs."""
        return f"{self.name}.positions"

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that the agent touches."""
        return (*self.reads, *self.writes, *self.tables, self.positions)


AnyAgent = Agent | Replayable | Sink
"""What a page may declare."""


def load_agents(folder: Path) -> dict[str, AnyAgent]:
    """The agents and sinks of every page in a folder, by name.

    Pages are loaded by path, as modules `shieldx_agents.<page>`: PyPI has a package called `agents`.

    Raises:
        FixConfiguration: the folder is missing, a page defines neither `agent` nor `sink`, or two have one name.
    """
    if not folder.is_dir():
        raise FixConfiguration(f"no agents folder at {folder}; set SHIELDX_HOME to the folder that holds agents/")
    agents: dict[str, AnyAgent] = {}
    for path in sorted(folder.glob("*.py")):
        page = _load_page(path)
        agent = getattr(page, "agent", None) or getattr(page, "sink", None)
        if not isinstance(agent, AnyAgent):
            raise FixConfiguration(f"{path} defines no `agent` and no `sink`; see docs/how-to/agents.md")
        if agent.name in agents:
            raise FixConfiguration(f"{path} declares agent {agent.name!r}, which another page has declared already")
        agents[agent.name] = agent
    return agents


def _load_page(path: Path) -> Any:
    name = f"shieldx_agents.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FixConfiguration(f"{path} cannot be loaded as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
