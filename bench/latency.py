"""Measures the time from when a command was scheduled until its committed result is read."""

from __future__ import annotations

import asyncio
import gc
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition

from shieldx.client import Client
from shieldx.domains.credits.messages import Consume
from shieldx.domains.credits.tables import RESULTS
from shieldx.engine.tasks.codec import CORRELATION_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.sending import Sending
    from bench.workload import Workload

EVERY_S = 0.005
"""Commands scheduled within this interval are sent together; the wait is part of their latency."""
WARM_UP_S = 1.0


class Latency(NamedTuple):
    """Percentiles of latencies."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    commands: int


def percentiles(latencies_s: list[float]) -> Latency:
    """Compute percentiles by nearest rank."""
    ordered = sorted(latencies_s)
    p50, p95, p99 = (ordered[ceil(len(ordered) * share) - 1] * 1000 for share in (0.5, 0.95, 0.99))
    return Latency(p50, p95, p99, len(ordered))


async def measure(
    connection: Mapping[str, Any], partitions: int, sending: Sending, workload: Workload, rate: int, seconds: float
) -> Latency:
    """Send at a steady rate regardless of the answers: a stall delays everything scheduled during it."""
    loop = asyncio.get_running_loop()
    count = int(rate * (seconds + WARM_UP_S))
    commands = workload.consumes(count)
    first = sending.sent
    seen_s = [0.0] * count
    async with AIOKafkaConsumer(**connection, isolation_level="read_committed", fetch_max_wait_ms=100) as consumer:
        tps = [KafkaTopicPartition(RESULTS, number) for number in range(partitions)]
        consumer.assign(tps)
        for tp, end in (await consumer.end_offsets(tps)).items():
            consumer.seek(tp, end)
        reading = asyncio.create_task(_read(consumer, first, seen_s))
        gc.collect()
        gc.freeze()
        start_s = loop.time()
        sent = 0
        while sent < count:
            due = min(count, int((loop.time() - start_s) * rate))
            await sending.send(commands[sent:due])
            sent = due
            await asyncio.sleep(EVERY_S)
        await reading
    skipped = int(rate * WARM_UP_S)
    return percentiles([seen_s[n] - (start_s + n / rate) for n in range(skipped, count)])


async def measure_one_caller(connection: Mapping[str, Any], calls: int) -> Latency:
    """A single caller that waits for each result before it sends the next command."""
    loop = asyncio.get_running_loop()
    latencies_s = []
    async with Client(connection) as client:
        for number in range(calls):
            start_s = loop.time()
            await client.send(Consume(tenant_id="org-0", idempotency_key=f"call-{number}", amount=1))
            latencies_s.append(loop.time() - start_s)
    return percentiles(latencies_s[calls // 10 :])


async def _read(consumer: AIOKafkaConsumer, first: int, seen_s: list[float]) -> None:
    loop = asyncio.get_running_loop()
    missing = len(seen_s)
    while missing:
        fetched = await consumer.getmany(timeout_ms=1000)
        now_s = loop.time()
        for records in fetched.values():
            for record in records:
                for name, content in record.headers:
                    if name == CORRELATION_ID and int(content) >= first:
                        seen_s[int(content) - first] = now_s
                        missing -= 1
