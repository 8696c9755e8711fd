from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import pytest

from shieldx.engine.declarations.agent import topics_of
from shieldx.engine.declarations.pages import load_agents
from shieldx.errors import FixConfiguration
from tests.engine.counter_agent import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = "from tests.engine.counter_agent import counter as agent\n"


@pytest.fixture(autouse=True)
def forget_pages() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("shieldx_agents."):
            del sys.modules[name]


def test_the_platform_s_own_pages() -> None:
    agents = load_agents(ROOT / "agents")
    assert "credits" in agents
    assert all(name == agent.name for name, agent in agents.items())


def test_a_page_declares_an_agent(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(PAGE)
    (tmp_path / "notes.txt").write_text("not a page")
    agents = load_agents(tmp_path)
    assert list(agents) == ["counter"]
    assert topics_of(agents["counter"]) == (
        "counter.adds",
        "counter.totals",
        "counter.notes",
        "counter.sums",
        "counter.timers",
        "counter.positions",
    )


def test_a_page_is_no_module_of_a_package_called_agents(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(PAGE)
    load_agents(tmp_path)
    assert "shieldx_agents.counting" in sys.modules
    assert "agents" not in sys.modules


@pytest.mark.parametrize("content", ["", "agent = 'counter'\n", "agent = print\n"])
def test_a_page_without_an_agent(tmp_path: Path, content: str) -> None:
    (tmp_path / "empty.py").write_text(content)
    with pytest.raises(FixConfiguration, match=r"empty\.py does not define `agent`"):
        load_agents(tmp_path)


def test_two_pages_with_one_name(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(PAGE)
    (tmp_path / "b.py").write_text(PAGE)
    with pytest.raises(FixConfiguration, match=r"b\.py declares agent 'counter', which .*a\.py already declares"):
        load_agents(tmp_path)


def test_a_page_that_python_cannot_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text(PAGE)
    monkeypatch.setattr(importlib.util, "spec_from_file_location", lambda *_: None)
    with pytest.raises(FixConfiguration, match=r"a\.py cannot be loaded"):
        load_agents(tmp_path)


def test_a_page_that_fails_leaves_no_half_of_a_module_behind(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        load_agents(tmp_path)


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FixConfiguration, match="set SHIELDX_HOME"):
        load_agents(tmp_path / "none")
