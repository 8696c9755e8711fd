"""A partition's level of stored forms is recorded before anything of that level is."""

from __future__ import annotations

import pytest

from shieldx.engine.tasks import task_positions
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.position import Position
from shieldx.engine.testing.driver import AgentDriver
from shieldx.errors import FixConfiguration
from shieldx.state import forms
from tests.engine.counter_agent import ADDS, TOPICS, Add, counter, totals

INPUT = TopicPartition(ADDS, 0)


def driver(format_level: int | None = None) -> AgentDriver:
    return AgentDriver(counter, TOPICS, format_level=format_level)


async def position(ran: AgentDriver) -> Position:
    return (await ran.log.positions([INPUT]))[INPUT]


async def record_level(ran: AgentDriver, level: int | None) -> None:
    """As if a release of that level had been at work."""
    transactions = await ran.log.fence("test.counter.0")
    await transactions.commit({}, {INPUT: Position(version=1, next_offset=0, format_level=level)})


async def test_a_partition_without_records_has_the_level_of_the_release_that_first_ran() -> None:
    """A newer release that takes it over later must not give it a level that this one cannot read."""
    ran = driver()
    await ran.run()
    found = await position(ran)
    assert (found.next_offset, found.format_level) == (0, forms.FORMAT_LEVEL)


async def test_a_level_is_raised_before_the_first_record_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds may expire in a transaction that moves no position."""
    monkeypatch.setattr(task_positions, "FORMAT_LEVEL", 2)
    ran = driver(format_level=2)
    await record_level(ran, 1)
    await ran.restart(0)
    assert (await position(ran)).format_level == 2


async def test_a_partition_keeps_its_level_under_a_newer_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_positions, "FORMAT_LEVEL", 2)
    ran = driver()
    await record_level(ran, 1)
    ran.send(ADDS, Add(tenant_id="acme"))
    await ran.run()
    assert totals(ran) == [1]
    assert (await position(ran)).format_level == 1


@pytest.mark.parametrize("level", [0, forms.FORMAT_LEVEL + 1])
async def test_a_setting_beyond_what_this_release_writes_is_refused_and_recorded_nowhere(level: int) -> None:
    ran = driver(format_level=level)
    with pytest.raises(FixConfiguration, match=rf"SHIELDX_FORMAT_LEVEL is {level}; this release writes levels"):
        await ran.run()
    assert await ran.log.positions([INPUT]) == {}


async def test_a_finalised_partition_is_refused_whatever_the_setting() -> None:
    newer = forms.FORMAT_LEVEL + 1
    for setting in (None, forms.FORMAT_LEVEL, newer):
        ran = driver(format_level=setting)
        await record_level(ran, newer)
        with pytest.raises(FixConfiguration, match=rf"has stored forms of level {newer}; this release reads"):
            await ran.run()


async def test_a_position_to_write_by_hand_names_the_level() -> None:
    """Without it a release that cannot read the state would go on from the record."""
    ran = driver()
    await record_level(ran, 1)
    ran.send(ADDS, Add(tenant_id="acme"))
    ran.log.append(INPUT, None)
    ran.log.delete_before(INPUT, 1)
    with pytest.raises(FixConfiguration, match=r'write \{"version":1,"next_offset":1,"format_level":1\} to'):
        await ran.run()
