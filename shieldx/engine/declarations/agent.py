"""What a page in `agents/` declares."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shieldx.engine.declarations.replayable import Replayable
from shieldx.engine.declarations.sink import Sink
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shieldx.engine.declarations.fold import Fold
    from shieldx.engine.declarations.measures import Counter, Gauge, Histogram
    from shieldx.state.table import TableSpec


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A transactional agent: partition n of every input, its tables, and its outputs, commit together."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    """Topics of outputs; the first is the topic of results, which `reply-to` copies."""
    state: tuple[TableSpec[Any], ...] = ()
    """The tables of its state. The engine restores them before the fold is created."""
    fold: Callable[..., Fold]
    """Creates the fold of a partition from a `FoldContext`."""
    takes_keyring: bool = False
    """Whether `fold` is given the keyring as well: `keys` by id, and the `first_key_id`."""
    takes_settings: tuple[str, ...] = ()
    """Settings whose values `fold` is given as well, each under its name."""
    counters: tuple[Counter, ...] = ()
    gauges: tuple[Gauge, ...] = ()
    histograms: tuple[Histogram, ...] = ()

    owns: frozenset[str] | None = None
    """The inputs that it may append ticks and forwarded records to; None: all. `resolve_owners` sets it."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Topics of the tables of its state."""
        return tuple(spec.topic for spec in self.state)

    @property
    def ticks(self) -> str:
        """The topic that ticks are appended to: the first input that it owns, or one of its own."""
        owned = [topic for topic in self.reads if self.owns is None or topic in self.owns]
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
    def topics(self) -> tuple[str, ...]:
        """Every topic that the agent touches."""
        return (*self.inputs, *self.writes, *self.tables, self.positions)


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
            raise FixConfiguration(f"{path} defines no `agent` and no `sink`; see docs/agents.md")
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
