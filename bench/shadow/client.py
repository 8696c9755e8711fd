"""A client that imports samples, requests evaluations, and reads the answers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from uuid import uuid4

import msgspec
from aiokafka import TopicPartition

from bench.verdict import WrongResults
from shieldx.cli.committed_records import committed_consumer
from shieldx.cli.producing import open_producer
from shieldx.cli.samples.writing import SetContent, write_samples
from shieldx.domains.credits import tables as ledger
from shieldx.domains.credits.messages import Purchase
from shieldx.domains.shadow import tables
from shieldx.domains.shadow.messages import CommandResult, Evaluate, SealSamples
from shieldx.domains.shadow.report import Report
from shieldx.domains.shadow.sample_set import strata_of, version_of
from shieldx.engine.kafka.committed_range import start_at_end
from shieldx.engine.tasks.partitioner import home_partition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.arena import Arena
    from bench.program import Program
    from shieldx.domains.shadow.sample import Sample

LONGEST_S = 300.0
CHECK_S = 1.0
"""How soon an exited program is noticed."""
PLENTY = 10**12


class Answered(NamedTuple):
    """A report, and the time from just before its evaluation was sent until it was read."""

    report: Report
    seconds: float


class Client:
    """One connection for all tenants. It sees everything committed since it was opened."""

    def __init__(self, arena: Arena, programs: Sequence[Program]) -> None:
        self._arena = arena
        self.programs = list(programs)
        """Checked while waiting for an answer."""
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {
            tables.REPORTS: msgspec.json.Decoder(Report),
            tables.RESULTS: msgspec.json.Decoder(CommandResult),
        }
        self._waiting: dict[tuple[str, str], asyncio.Future[Report | CommandResult]] = {}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as entering:
            platform = self._arena.platform
            self._consumer = await entering.enter_async_context(committed_consumer(platform))
            self._producer = await entering.enter_async_context(open_producer(platform))
            places = [TopicPartition(topic, n) for topic in self._decoders for n in range(self._arena.partitions)]
            await start_at_end(self._consumer, places)
            self._reading = asyncio.create_task(self._read())
            self._entered = entering.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._entered.aclose()

    async def purchase(self, tenant_id: str) -> None:
        """Give a tenant more credits than it will ever need."""
        await self._send(
            ledger.COMMANDS, tenant_id, Purchase(tenant_id=tenant_id, idempotency_key="opening", amount=PLENTY)
        )

    async def import_samples(self, tenant_id: str, ordered: Sequence[Sample], sample_set: str = "default") -> None:
        """Write arranged samples and seal them."""
        version = version_of(ordered)
        content = SetContent(tenant_id, sample_set, version, ordered)
        first, last = await write_samples(self._arena.platform, content, _ignore)
        seal = SealSamples(
            tenant_id=tenant_id,
            sample_set=sample_set,
            version=version,
            strata=strata_of(ordered),
            first_offset=first,
            last_offset=last,
        )
        answer = self._await(tenant_id, sample_set)
        await self._send(tables.COMMANDS, tenant_id, seal)
        await self._answer(answer)

    async def ask(self, evaluate: Evaluate) -> Answered:
        """Have a rule judged.

        Raises:
            WrongResults: The evaluation failed, or its outcomes came from the cache.
            ReadItsLog: A worker has exited.
            TimeoutError: No report arrived in time.
        """
        eval_id = uuid4().hex
        evaluate = msgspec.structs.replace(evaluate, eval_id=eval_id)
        answer = self._await(evaluate.tenant_id, eval_id)
        began_s = perf_counter()
        await self._send(tables.EVALUATIONS, evaluate.tenant_id, evaluate)
        report = await self._answer(answer)
        seconds = perf_counter() - began_s
        if not isinstance(report, Report) or report.status != "completed" or report.cached_from is not None:
            raise WrongResults(f"not a report of a completed evaluation: {report}")
        return Answered(report, seconds)

    def _await(self, tenant_id: str, subject: str) -> asyncio.Future[Report | CommandResult]:
        future: asyncio.Future[Report | CommandResult] = asyncio.get_running_loop().create_future()
        self._waiting[tenant_id, subject] = future
        return future

    async def _answer(self, answer: asyncio.Future[Report | CommandResult]) -> Report | CommandResult:
        either: list[asyncio.Future[Any]] = [answer, self._reading]
        async with asyncio.timeout(LONGEST_S):
            while not answer.done():
                await asyncio.wait(either, timeout=CHECK_S, return_when=asyncio.FIRST_COMPLETED)
                if self._reading.done():
                    self._reading.result()
                for program in self.programs:
                    program.check()
        return answer.result()

    async def _read(self) -> None:
        async for record in self._consumer:
            message = self._decoders[record.topic].decode(record.value)
            subject = message.eval_id if isinstance(message, Report) else message.subject
            waiting = self._waiting.pop((message.tenant_id, subject), None)
            if waiting is None:  # a refusal may have an eval_id other than the chosen one
                raise WrongResults(f"unexpected message: {message}")
            if not waiting.done():
                waiting.set_result(message)

    async def _send(self, topic: str, tenant_id: str, message: msgspec.Struct) -> None:
        home = home_partition(tenant_id, self._arena.partitions)
        await self._producer.send_and_wait(topic, msgspec.json.encode(message), key=tenant_id.encode(), partition=home)


def tenants_of(partition: int, partitions: int, count: int, prefix: str) -> list[str]:
    """Names of tenants with the same home partition."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        name = f"{prefix}-{number}"
        number += 1
        if home_partition(name, partitions) == partition:
            found.append(name)
    return found


def _ignore(_done: int, _total: int) -> None:
    """Ignores progress."""
