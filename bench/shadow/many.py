"""Measures many evaluations at once: duration, fairness, and the effect of a large one on small ones."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import islice
from statistics import fmean, median
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.shadow.client import Client, tenants_of
from bench.shadow.requests import made_samples, rules
from shieldx.domains.shadow.messages import Evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.arena import Arena
    from shieldx.domains.shadow.rule import Signature

TENANTS = 20
EACH = 5
SMALL_SAMPLES = 1_000
ALONE = 10
"""How many small evaluations each tenant runs before the large one."""
LARGE_SET = "large"
SAME, NEIGHBOUR, ELSEWHERE = "its own tenant", "a tenant of its partition", "a tenant of another partition"


class AtOnce(NamedTuple):
    """The results of evaluations that were sent at once."""

    p50_s: float
    p99_s: float
    samples_per_s: float
    jain: float
    """Jain's index of the tenants' mean times: 1 if all are equal, 1/n if only one tenant waits."""


class Slowed(NamedTuple):
    """Consecutive small evaluations of one tenant: medians without and with a large one, and their number."""

    alone_s: float
    beside_s: float
    times: int


class Crowded(NamedTuple):
    """Small evaluations by tenant, and the duration of the concurrent large one."""

    slowed: dict[str, Slowed]
    large_s: float


async def at_once(arena: Arena, client: Client) -> AtOnce:
    """TENANTS tenants send EACH evaluations at the same time. Their sets are in memory."""
    samples, made = made_samples(SMALL_SAMPLES), rules()
    per_partition = -(-TENANTS // arena.partitions)
    tenants = [
        name
        for partition in range(arena.partitions)
        for name in tenants_of(partition, arena.partitions, per_partition, "many")
    ][:TENANTS]
    for tenant_id in tenants:
        await client.import_samples(tenant_id, samples)
    await asyncio.gather(*(_ask(client, tenant_id, made) for tenant_id in tenants))
    asked = [tenant_id for _ in range(EACH) for tenant_id in tenants]
    began_s = perf_counter()
    seconds = await asyncio.gather(*(_ask(client, tenant_id, made) for tenant_id in asked))
    all_s = perf_counter() - began_s
    by_tenant = defaultdict(list)
    for tenant_id, each_s in zip(asked, seconds, strict=True):
        by_tenant[tenant_id].append(each_s)
    p50, p99 = np.percentile(seconds, (50, 99), method="inverted_cdf")
    return AtOnce(
        float(p50), float(p99), len(asked) * SMALL_SAMPLES / all_s, jain(list(map(fmean, by_tenant.values())))
    )


async def beside_a_large_one(arena: Arena, client: Client, large: int) -> Crowded:
    """Small evaluations of three tenants, first alone, then while one of `large` samples runs. All sets in memory."""
    made = rules()
    own, neighbour = tenants_of(0, arena.partitions, 2, "crowd")
    (elsewhere,) = tenants_of(1 % arena.partitions, arena.partitions, 1, "far")
    names = {SAME: own, NEIGHBOUR: neighbour, ELSEWHERE: elsewhere}
    samples = made_samples(SMALL_SAMPLES, seed=3)
    for tenant_id in names.values():
        await client.import_samples(tenant_id, samples)
        await _ask(client, tenant_id, made)
    await client.import_samples(own, made_samples(large, seed=4), LARGE_SET)
    await client.ask(_large(own, next(made), large))
    alone = await _each(client, names, islice(made, len(names) * ALONE))
    running = asyncio.create_task(client.ask(_large(own, next(made), large)))
    beside = await _each(client, names, _until(running, made))
    slowed = {
        name: Slowed(median(alone[name]), median(beside[name]) if beside[name] else float("nan"), len(beside[name]))
        for name in names
    }
    return Crowded(slowed, (await running).seconds)


def jain(times: Sequence[float]) -> float:
    """Jain's index of fairness."""
    return sum(times) ** 2 / (len(times) * sum(each**2 for each in times))


async def _each(client: Client, names: Mapping[str, str], made: Iterator[Signature]) -> dict[str, list[float]]:
    """Durations in seconds until there are no more rules. A tenant runs one at a time, all tenants at once."""
    found: dict[str, list[float]] = {name: [] for name in names}

    async def one(name: str, tenant_id: str) -> None:
        for config in made:
            found[name].append((await client.ask(_small(tenant_id, config))).seconds)

    await asyncio.gather(*(one(name, tenant_id) for name, tenant_id in names.items()))
    return found


def _until(running: asyncio.Task[object], made: Iterator[Signature]) -> Iterator[Signature]:
    while not running.done():
        yield next(made)


async def _ask(client: Client, tenant_id: str, made: Iterator[Signature]) -> float:
    return (await client.ask(_small(tenant_id, next(made)))).seconds


def _small(tenant_id: str, config: Signature) -> Evaluate:
    return Evaluate(tenant_id=tenant_id, rule_id="small", rule_config=config, sample_size=SMALL_SAMPLES)


def _large(tenant_id: str, config: Signature, samples: int) -> Evaluate:
    return Evaluate(
        tenant_id=tenant_id,
        rule_id="large",
        rule_config=config,
        sample_size=samples,
        sample_set=LARGE_SET,
        deadline_s=3600,
    )
