"""A page and a manifest are all that registers an agent: drawings, access lists and schemas follow from them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGE = """
from shieldx.engine.declarations.transactional import TransactionalAgent
from tests.engine.table_specs import specs

agent = TransactionalAgent(
    name="tally", reads=("tally.votes",), writes=("tally.counts",), state=specs("tally.state"), fold=print
)
"""
MANIFEST = """
tally.votes: {about: Votes., key: tenant_id, cleanup: delete, timestamps: broker, writers: operators}
tally.counts:
  about: Counts.
  key: tenant_id
  cleanup: delete
  messages: {tally.count/1: "shieldx.messages:Tick"}
tally.state: {about: State., key: tenant_id, cleanup: compact, readers: clients}
"""


@pytest.fixture
def shieldx_with_tally(
    shieldx: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Result]]:
    for folder, file, text in (("agents", "tally.py", PAGE), ("topics", "tally.yaml", MANIFEST)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text(text)
    monkeypatch.setenv("SHIELDX_HOME", str(tmp_path))
    yield shieldx
    sys.modules.pop("shieldx_agents.tally", None)


def test_it_is_drawn(shieldx_with_tally: Callable[..., Result]) -> None:
    drawn = shieldx_with_tally("topology").stdout
    assert drawn.startswith("tally  transactional agent\n")
    assert "▶ consumers" in next(line for line in drawn.splitlines() if "tally.state" in line)


def test_it_and_its_clients_and_operators_get_access(shieldx_with_tally: Callable[..., Result]) -> None:
    rows = [json.loads(line) for line in shieldx_with_tally("topics", "acls", "--json").stdout.splitlines()]
    found = {(row["principal"], row["operation"], row["name"]) for row in rows if row["operation"] != "DescribeConfigs"}
    assert found == {
        ("shieldx.tally", "Read", "tally.votes"),
        ("shieldx.tally", "Write", "tally.votes"),
        ("shieldx.tally", "Write", "tally.counts"),
        ("shieldx.tally", "Write", "dead-letters"),
        *(("shieldx.tally", operation, "tally.state") for operation in ("Read", "Write")),
        *(("shieldx.tally", operation, "tally.positions") for operation in ("Read", "Write")),
        ("shieldx.tally", "Read", "shieldx.tally"),
        ("shieldx.tally", "Write", "shieldx.tally."),
        ("shieldx.client", "Read", "tally.counts"),
        ("shieldx.client", "Read", "tally.state"),
        ("shieldx.client", "Read", "shieldx.client"),
        ("shieldx.operator", "Write", "tally.votes"),
    }


def test_its_messages_have_schemas(shieldx_with_tally: Callable[..., Result]) -> None:
    assert '"title": "tally.count/1"' in shieldx_with_tally("schemas").stdout


def test_an_extension_adds_its_agent_to_those_that_ship(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIELDX_EXTENSIONS", f"{EXAMPLES / 'refusals'}:{EXAMPLES / 'bursts'}")
    drawn = shieldx("topology").stdout
    assert [name for name in ("bursts", "credits", "refusals") if f"{name}  transactional agent" in drawn] == [
        "bursts",
        "credits",
        "refusals",
    ]
    rows = [json.loads(line) for line in shieldx("topics", "acls", "--json").stdout.splitlines()]
    written = {row["name"] for row in rows if (row["principal"], row["operation"]) == ("shieldx.refusals", "Write")}
    assert written == {"refusals.ticks", "refusals.per-hour", "refusals.positions", "dead-letters", "shieldx.refusals."}


def test_an_extension_that_declares_a_name_again_is_refused(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIELDX_EXTENSIONS", str(EXAMPLES.parent))
    assert "which is already declared; rename it" in shieldx("topology").stderr
