"""Measures one rule over all samples of a set: through Kafka, in one process, and with plain loops."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from bench.shadow.client import Client, tenants_of
from bench.shadow.loops import loop, python_search, re2_search
from bench.shadow.requests import made_samples, rules
from bench.shadow.timeline import medians, stages_of
from bench.shadow.values import values_of
from bench.shadow.workers import planner
from bench.verdict import WrongResults
from shieldx.domains.shadow.matching.matcher import compile_rule
from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.messages import Evaluate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bench.arena import Arena
    from bench.program import Program
    from bench.shadow.loops import Looped
    from bench.shadow.timeline import Stages
    from shieldx.domains.shadow.rule import Signature

WARM, COLD, PAID = "through Kafka", "through Kafka, set not yet in memory", "through Kafka, paid"
MATCHER, READING, RE2, PLAIN = "matcher, one process", "reading all values, no search", "re2 alone", "plain loop of re"
COLD_TENANTS = 3
WARM_TIMES = 5
WARM_UP_SAMPLES = 3_200
"""As many batches as may be in flight: every process of the evaluators gets one."""
PRICE_PER_1000 = 100


class Seen(NamedTuple):
    """Median seconds by measurement, and the stages of those through Kafka."""

    seconds: dict[str, float]
    stages: Stages


async def through_kafka(arena: Arena, evaluators: Program, count: int) -> Seen:
    """Evaluate sets of `count` samples, each once before any evaluator has read it, and then repeatedly."""
    samples, made = made_samples(count), rules()
    found: dict[str, list[float]] = defaultdict(list)
    stages = []
    async with planner(arena) as program, Client(arena, [program, evaluators]) as client:
        await client.import_samples("first", made_samples(WARM_UP_SAMPLES, seed=2))
        await client.ask(_evaluate("first", next(made), WARM_UP_SAMPLES))
        for tenant_id in tenants_of(0, arena.partitions, COLD_TENANTS, "one"):
            await client.import_samples(tenant_id, samples)
            found[COLD].append((await client.ask(_evaluate(tenant_id, next(made), count))).seconds)
            for _ in range(WARM_TIMES):
                answered = await client.ask(_evaluate(tenant_id, next(made), count))
                found[WARM].append(answered.seconds)
            stages.append(await stages_of(arena, answered))
    found[PAID] = [seconds async for seconds in _paid(arena, evaluators, made, count)]
    return Seen({name: median(seconds) for name, seconds in found.items()}, medians(stages))


async def _paid(arena: Arena, evaluators: Program, made: Iterator[Signature], count: int) -> AsyncIterator[float]:
    """The same with a planner that charges a price, for a tenant whose set is already in memory."""
    (tenant_id,) = tenants_of(0, arena.partitions, 1, "one")
    async with (
        planner(arena, price_per_1000=PRICE_PER_1000) as program,
        Client(arena, [program, evaluators]) as client,
    ):
        await client.purchase(tenant_id)
        await client.ask(_evaluate(tenant_id, next(made), count))
        for _ in range(WARM_TIMES):
            answered = await client.ask(_evaluate(tenant_id, next(made), count))
            if answered.report.charge.status != "committed":
                raise WrongResults(f"this evaluation should have been charged: {answered.report.charge}")
            yield answered.seconds


def in_this_process(count: int) -> dict[str, float]:
    """Seconds of the matcher and of plain loops.

    Raises:
        WrongResults: Their findings differ.
    """
    samples, made = made_samples(count), next(rules())
    began_s = perf_counter()
    compiled = compile_rule(made)
    judged = [compiled.judge(ParsedRequest(sample.request)).fired for sample in samples]
    matcher_s = perf_counter() - began_s
    began_s = perf_counter()
    values = values_of(made, samples)
    reading_s = perf_counter() - began_s
    by_re2, by_re = loop(re2_search(made.pattern), values), loop(python_search(made.pattern), values)
    _check(judged, by_re2, by_re)
    return {MATCHER: matcher_s, READING: reading_s, RE2: by_re2.seconds, PLAIN: by_re.seconds}


def _check(judged: list[bool], *looped: Looped) -> None:
    if any(each.fired != judged for each in looped):
        raise WrongResults("the findings of matcher, re2 and re differ")


def _evaluate(tenant_id: str, config: Signature, count: int) -> Evaluate:
    return Evaluate(tenant_id=tenant_id, rule_id="measured", rule_config=config, sample_size=count)
