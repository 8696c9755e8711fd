"""What docs/tutorials/first-ledger.md shows is what the ledger answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.credits.messages import Commit, Consume, Purchase, Reserve
from shieldx.engine.declarations.manifests import load_manifests
from shieldx.engine.declarations.pages import load_agents
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.testing.driver import AgentDriver

if TYPE_CHECKING:
    from shieldx.domains.credits.messages import Result

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tutorials" / "first-ledger.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ echo '(\{.*\})' \| shieldx send -$", PAGE, re.MULTILINE)
SHOWN = re.compile(r"^\S+Z  acme +(\w+) +(\w+(?: \(replayed\))?) +([\d,]+) +([\d,]+)  \S+ +(\S+)$", re.MULTILINE)


def row(result: Result) -> tuple[str, str, str, str, str | None]:
    """The columns of `shieldx send` that do not depend on when and where the command was executed."""
    code = f"{result.code} (replayed)" if result.replayed else str(result.code)
    return (
        result.type,
        code,
        f"{result.account.available:,}",
        f"{result.account.reserved_funds:,}",
        result.idempotency_key,
    )


async def test_every_command_gets_the_result_that_the_page_shows() -> None:
    driver = AgentDriver(
        TransactionalAgent.of(load_agents(ROOT / "agents")["credits"]), load_manifests(ROOT / "topics"), partitions=12
    )
    decoder = msgspec.json.Decoder(Purchase | Consume | Reserve | Commit)
    for line in COMMANDS:
        driver.send("credits.commands", decoder.decode(line))
        await driver.run()
    shown = SHOWN.findall(PAGE)
    assert shown != []
    assert [row(result) for result in driver.messages("credits.results")] == shown
