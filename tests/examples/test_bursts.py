"""The second example: two inputs are joined, windows hop, and late records are said to be late."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shieldx.domains.credits.messages import Balance, Code, Result
from shieldx.engine.declarations.declared import load_declared
from shieldx.engine.testing.driver import START_MS, AgentDriver
from shieldx.messages import rfc3339
from shieldx.rocksdb.store import RocksStores

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "bursts"
MINUTE_MS = 60_000


class Bursts:
    """The agent without a broker, with its state in memory or on disk."""

    def __init__(self, folder: Path | None) -> None:
        declared = load_declared(ROOT, [EXAMPLE])
        self.types: ModuleType = sys.modules["bursts"]
        stores = None if folder is None else RocksStores(folder, memory_bytes=64_000_000)
        agent: Any = declared.agents["bursts"]
        self.ran = AgentDriver(agent, declared.topics, stores=stores)

    async def limit(self, limit: int) -> None:
        self.ran.send("bursts.commands", self.types.SetLimit(tenant_id="org-123", limit=limit))
        await self.ran.run()

    async def consume(self, at_ms: int, times: int = 1) -> None:
        for number in range(times):
            self.ran.send("credits.results", consumed(at_ms, number))
        await self.ran.run()
        await self.ran.restart(0)

    @property
    def alarms(self) -> list[Any]:
        return [alarm for alarm in self.ran.messages("bursts.alarms") if isinstance(alarm, self.types.Alarm)]

    @property
    def late(self) -> list[Any]:
        return [late for late in self.ran.messages("bursts.alarms") if isinstance(late, self.types.Late)]


def consumed(at_ms: int, number: int) -> Result:
    return Result(
        idempotency_key="k",
        tenant_id="org-123",
        type="consume",
        code=Code.OK,
        transaction_id=f"0-{number}",
        balance=Balance(0, 0, 0, 0, 0),
        at=rfc3339(at_ms),
        replayed=False,
    )


@pytest.fixture(params=["memory", "disk"])
def bursts(request: pytest.FixtureRequest, tmp_path: Path) -> Bursts:
    return Bursts(tmp_path if request.param == "disk" else None)


async def test_each_of_the_ten_windows_beyond_the_limit_gives_one_alarm(bursts: Bursts) -> None:
    await bursts.limit(3)
    await bursts.consume(START_MS, 3)
    assert bursts.alarms == []
    await bursts.consume(START_MS, 2)
    starts = [START_MS - minutes * MINUTE_MS for minutes in range(9, -1, -1)]
    assert [alarm.start_ms for alarm in bursts.alarms] == starts


async def test_only_windows_that_contain_both_times_count_them_together(bursts: Bursts) -> None:
    await bursts.limit(1)
    await bursts.consume(START_MS)
    bursts.ran.advance(9 * MINUTE_MS)
    await bursts.consume(START_MS + 9 * MINUTE_MS)
    assert [alarm.start_ms for alarm in bursts.alarms] == [START_MS]


async def test_a_late_result_counts_in_windows_that_are_open_and_is_named_when_none_is(bursts: Bursts) -> None:
    await bursts.limit(0)
    bursts.ran.advance(11 * MINUTE_MS)
    await bursts.consume(START_MS)
    assert [alarm.start_ms for alarm in bursts.alarms] == [START_MS], "the last window is within its grace period"
    assert bursts.late == []
    bursts.ran.advance(MINUTE_MS)
    await bursts.consume(START_MS)
    assert [late.transaction_id for late in bursts.late] == ["0-0"]


async def test_without_a_limit_there_is_no_alarm(bursts: Bursts) -> None:
    await bursts.consume(START_MS, 5)
    assert bursts.alarms == bursts.late == []


async def test_counts_of_windows_that_are_over_are_deleted(bursts: Bursts) -> None:
    await bursts.consume(START_MS)
    bursts.ran.advance(12 * MINUTE_MS)
    await bursts.ran.tick()
    last = {record.key: record.value for record in bursts.ran.read("bursts.counts")}
    assert len(last) == 10
    assert set(last.values()) == {None}
