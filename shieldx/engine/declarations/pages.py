"""The pages in `agents/`, and the agents that they declare."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from shieldx.engine.declarations.agent import Agent
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from pathlib import Path


class Page(NamedTuple):
    """A file that declares an agent."""

    path: Path
    agent: Agent


def load_agents(folder: Path) -> dict[str, Agent]:
    """The agents that the pages in a folder declare, by name.

    Raises:
        FixConfiguration: the folder is missing, a page declares no agent, or two agents have the same name.
    """
    return {name: page.agent for name, page in load_pages(folder).items()}


def load_pages(folder: Path) -> dict[str, Page]:
    """The pages in a folder, by the name of the agent that each declares.

    Pages are loaded by path, as modules `shieldx_agents.<page>`: PyPI has a package called `agents`.

    Raises:
        FixConfiguration: the folder is missing, a page declares no agent, or two agents have the same name.
    """
    if not folder.is_dir():
        raise FixConfiguration(f"no agents folder at {folder}; set SHIELDX_HOME to the folder that holds agents/")
    pages: dict[str, Page] = {}
    for path in sorted(folder.glob("*.py")):
        agent = getattr(_load(path), "agent", None)
        if not isinstance(agent, Agent):
            raise FixConfiguration(f"{path} does not define `agent`; see docs/how-to/agents.md")
        if agent.name in pages:
            raise FixConfiguration(
                f"{path} declares agent {agent.name!r}, which {pages[agent.name].path} already declares"
            )
        pages[agent.name] = Page(path, agent)
    return pages


def _load(path: Path) -> Any:
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
