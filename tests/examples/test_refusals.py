"""The first example: a derived agent counts refusals per tenant and hour into a compacted topic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from shieldx.domains.credits.messages import Balance, Code, Result
from shieldx.engine.declarations.declared import load_declared
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.testing.driver import START_MS, AgentDriver
from shieldx.rocksdb.store import RocksStores

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "refusals"
RESULTS, COUNTS, TICKS = "credits.results", "refusals.per-hour", "refusals.ticks"
HOUR_MS = 3_600_000
MOST_LINES, MOST_FILES = 40, 3


def result(code: Code, tenant_id: str = "org-123") -> Result:
    return Result(
        idempotency_key="k",
        tenant_id=tenant_id,
        type="consume",
        code=code,
        transaction_id="0-1",
        balance=Balance(0, 0, 0, 0, 0),
        at="",
        replayed=False,
    )


def driver(**given: Any) -> AgentDriver:
    declared = load_declared(ROOT, [EXAMPLE])
    return AgentDriver(declared.agents["refusals"], declared.topics, **given)  # type: ignore[arg-type] # it is an agent


def counts(ran: AgentDriver) -> dict[str, int | None]:
    """The table as a reader of the compacted topic has it in the end."""
    last = {(record.key or b"").decode(): record.value for record in ran.read(COUNTS)}
    return {key: None if value is None else msgspec.json.decode(value).get("count", 0) for key, value in last.items()}


def test_it_is_as_short_as_it_is_said_to_be() -> None:
    files = [path for path in EXAMPLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(files) <= MOST_FILES
    assert sum(len(path.read_text().splitlines()) for path in files) <= MOST_LINES


@pytest.mark.parametrize("on_disk", [False, True])
async def test_refusals_are_counted_per_tenant_and_hour(tmp_path: Path, *, on_disk: bool) -> None:
    ran = driver(stores=RocksStores(tmp_path, memory_bytes=64_000_000) if on_disk else None)
    for code in (Code.INSUFFICIENT_FUNDS, Code.OK, Code.TENANT_UNKNOWN):
        ran.send(RESULTS, result(code))
        await ran.run()
        await ran.restart(0)
    ran.send(RESULTS, result(Code.INSUFFICIENT_FUNDS, "org-456"))
    ran.advance(HOUR_MS)
    ran.send(RESULTS, result(Code.INSUFFICIENT_FUNDS))
    await ran.run()
    assert counts(ran) == {
        f"org-123/{START_MS}": 2,
        f"org-456/{START_MS}": 1,
        f"org-123/{START_MS + HOUR_MS}": 1,
    }


@pytest.mark.parametrize("on_disk", [False, True])
async def test_rows_are_deleted_after_their_retention_though_no_result_comes(tmp_path: Path, *, on_disk: bool) -> None:
    ran = driver(stores=RocksStores(tmp_path, memory_bytes=64_000_000) if on_disk else None)
    ran.send(RESULTS, result(Code.INSUFFICIENT_FUNDS))
    await ran.run()
    assert ran.tasks[0].due_ms == START_MS + 49 * HOUR_MS
    await ran.restart(0)
    ran.advance(49 * HOUR_MS)
    await ran.tick()
    assert counts(ran) == {f"org-123/{START_MS}": None}
    assert ran.tasks[0].due_ms is None


async def test_ticks_stay_out_of_the_results_of_the_ledger() -> None:
    """A derived agent once put {"type":"tick"} into credits.results, which then was not the ledger's alone."""
    ran = driver()
    ran.send(RESULTS, result(Code.INSUFFICIENT_FUNDS))
    await ran.run()
    await ran.tick()
    assert [record.offset for record in ran.read(RESULTS)] == [0]
    assert [record.value for record in ran.read(TICKS)] == [b'{"type":"tick"}']


async def test_a_misplaced_result_of_another_agent_is_a_dead_letter_and_is_not_forwarded() -> None:
    ran = driver(partitions=4)
    home = home_partition("org-123", 4)
    ran.send(RESULTS, result(Code.INSUFFICIENT_FUNDS), partition=(home + 1) % 4)
    await ran.run()
    assert counts(ran) == {}
    (letter,) = ran.messages("dead-letters")
    assert letter.reason == "misplaced"
    assert "only an agent that owns credits.results forwards it" in letter.detail
    assert ran.log.read(TopicPartition(RESULTS, home)) == []
