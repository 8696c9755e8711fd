"""One step of an upgrade in memory, by whichever release Python finds: take over a log, answer, hand it on.

Reads a `Handover` from stdin and writes what became of it to stdout.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
from typing import TYPE_CHECKING

import msgspec

from shieldx.bootstrap.home import home
from shieldx.engine.declarations.manifests import load_manifests
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.position import Position
from shieldx.engine.testing.driver import START_MS, AgentDriver
from shieldx.errors import FixConfiguration
from shieldx.settings import Settings
from shieldx.state.forms import FORMAT_LEVEL
from tests.upgrade.exchanges import Body, Customer, Exchange, differences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shieldx.engine.declarations.transactional import TransactionalAgent

PARTITIONS = 2
STEP_MS = 5000
"""Longer than a brief hold lasts."""


class Stored(msgspec.Struct, array_like=True):
    """A record of the log."""

    topic: str
    partition: int
    at_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Handover(msgspec.Struct, kw_only=True):
    """What one release leaves to the next, and what that is to do with it."""

    tenants: list[str] = []
    """Whose commands to send."""
    known: list[str] = []
    """Of these, who has sent commands in the step before."""
    step: int = 0
    format_level: int | None = None
    """The operator's setting."""
    records: list[Stored] = []
    positions: list[tuple[str, int, Position]] = []
    exchanges: list[Exchange] = []
    wrong: list[str] = []
    refused: str | None = None
    release_level: int = 0
    """The newest level of the release that did the step."""


class Ledger:
    """The credits agent on a log in memory."""

    def __init__(self, given: Handover) -> None:
        folder = home(Settings())
        agent: TransactionalAgent = runpy.run_path(str(folder / "agents" / "credits.py"))["agent"]
        topics = {  # without shadow evaluation, whose types take longer to import than all else
            name: topic for name, topic in load_manifests(folder / "topics").items() if not name.startswith("shadow.")
        }
        self._driver = AgentDriver(agent, topics, partitions=PARTITIONS, format_level=given.format_level)
        self._driver.now_ms = START_MS + given.step * STEP_MS
        self._inputs = [TopicPartition("credits.commands", number) for number in range(PARTITIONS)]
        self._topics = (*agent.inputs, *agent.tables, *agent.writes)

    async def restore(self, records: Iterable[Stored], positions: Iterable[tuple[str, int, Position]]) -> None:
        log = self._driver.log
        for it in records:
            place = TopicPartition(it.topic, it.partition)
            log.append(place, it.value, key=it.key, headers=it.headers, at_ms=it.at_ms)
        transactions = await log.fence("handover")
        await transactions.commit({}, {TopicPartition(topic, number): each for topic, number, each in positions})

    async def send(self, command: Body) -> Body:
        before = len(self._driver.read("credits.results"))
        key = command["tenant_id"].encode()
        self._driver.send("credits.commands", msgspec.json.encode(command), key=key)
        await self._driver.run()
        results = [record.value for record in self._driver.read("credits.results") if record.key == key]
        assert len(self._driver.read("credits.results")) > before, f"{command} was not answered"
        answer: Body = msgspec.json.decode(results[-1] or b"")
        return answer

    async def handed_on(self) -> tuple[list[Stored], list[tuple[str, int, Position]]]:
        await self._driver.run()
        positions = await self._driver.log.positions(self._inputs)
        records = [
            Stored(it.topic, it.partition, it.timestamp, it.key, it.value, list(it.headers))
            for topic in self._topics
            for it in self._driver.read(topic)
        ]
        return records, [(*tp, position) for tp, position in positions.items()]


async def take_over(given: Handover) -> Handover:
    """Send again all that was ever sent, then new commands."""
    ledger = Ledger(given)
    await ledger.restore(given.records, given.positions)
    try:
        wrong = [text for exchange in given.exchanges for text in await differences(ledger.send, exchange)]
        exchanges, level = list(given.exchanges), given.format_level or 1
        for tenant_id in given.tenants:
            customer = Customer(ledger.send, tenant_id, given.step, level)
            await customer.work()
            if tenant_id in given.known:
                await customer.earlier_holds()
            exchanges += customer.exchanges
            wrong += customer.wrong
    except FixConfiguration as error:
        return msgspec.structs.replace(given, refused=str(error), release_level=FORMAT_LEVEL)
    records, positions = await ledger.handed_on()
    return msgspec.structs.replace(
        given,
        records=records,
        positions=positions,
        exchanges=exchanges,
        wrong=wrong,
        release_level=FORMAT_LEVEL,
    )


if __name__ == "__main__":
    handover = msgspec.json.decode(sys.stdin.buffer.read(), type=Handover)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(take_over(handover))))
