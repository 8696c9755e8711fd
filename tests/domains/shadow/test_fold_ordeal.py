"""Evaluations while everything about them goes wrong: each is reported once, as if nothing had, and paid as it says."""

from __future__ import annotations

import os
import random
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from shieldx.domains.credits import tables as ledger
from shieldx.domains.shadow import tables
from shieldx.domains.shadow.messages import PutRule
from shieldx.domains.shadow.report import EvaluationCode, Report
from shieldx.domains.shadow.rule import Composite, Scored, Signature, Weighted
from shieldx.engine.tasks import task_state
from shieldx.errors import RestoreTask
from shieldx.rocksdb.store import RocksStores
from tests.domains.shadow.shadow_world import INJECTION, ShadowWorld, samples, without_timings
from tests.lengths import length

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from shieldx.engine.testing.memory_log import MemoryRecord

SEED = os.environ.get("ORDEAL_SEED", str(random.randrange(2**32)))  # noqa: S311 - printed, so that it can be had again
RUNS = int(os.environ.get("ORDEAL_RUNS", length(short=60, soak=3_000)))
STORED_RUNS = max(2, RUNS // 50)
TENANTS = ("org-123", "org-456", "org/7%")
PRICE = 37
UNION = Signature(pattern="UNION SELECT")
RULES = (
    INJECTION,
    UNION,
    Composite(operator="or", rules=(INJECTION, UNION)),
    Scored(signatures=(Weighted(weight=0.7, rule=INJECTION), Weighted(weight=0.3, rule=UNION)), threshold=0.5),
)
FAULTY = (tables.REPORTS, tables.BATCHES, tables.PLANS, tables.COLLECTED, ledger.COMMANDS, tables.AUDIT)
DEADLINES_S = (20, 100, 3600)


class Question(NamedTuple):
    """What is asked, by whom. Each has a seed of its own, or one would be answered from another's outcomes."""

    tenant_id: str
    eval_id: str
    rule: int
    size: int
    compares: bool
    deadline_s: int

    @property
    def fields(self) -> dict[str, Any]:
        return {
            "tenant_id": self.tenant_id,
            "eval_id": self.eval_id,
            "sample_size": self.size,
            "compare_with": 1 if self.compares else None,
            "seed": int(self.eval_id),
            "deadline_s": self.deadline_s,
        }


async def prepared(stores: RocksStores | None = None) -> ShadowWorld:
    """A world in which each tenant has credits, a set of 350 samples, and a rule to compare with."""
    world = ShadowWorld(price_per_1000=PRICE, stores=stores)
    for number, tenant_id in enumerate(TENANTS):
        await world.import_samples(samples(50 + number, 300, missed=7, mistaken=3), tenant_id=tenant_id)
        await world.purchase(1000, tenant_id=tenant_id)
        world.shadow.send(tables.COMMANDS, PutRule(tenant_id=tenant_id, rule_id="rule-001", config=RULES[2]))
    await world.shadow.run()
    return world


@cache
def _undisturbed() -> dict[Question, bytes]:
    return {}


async def undisturbed(question: Question) -> bytes:
    """The report that a question gets where nothing goes wrong."""
    known, question = _undisturbed(), question._replace(deadline_s=3600)
    if question not in known:
        world = await prepared()
        known[question] = without_timings(await world.evaluate(RULES[question.rule], **question.fields))
    return known[question]


class Ordeal:
    """Steps in random order, among them all that may go wrong."""

    def __init__(self, chance: random.Random, world: ShadowWorld) -> None:
        self.chance = chance
        self.world = world
        self.questions = [
            Question(
                tenant_id=chance.choice(TENANTS),
                eval_id=f"{number}",
                rule=chance.randrange(len(RULES)),
                size=chance.choice((40, 130, 350)),
                compares=chance.random() < 0.5,
                deadline_s=chance.choice(DEADLINES_S),
            )
            for number in range(chance.randint(2, 5))
        ]
        self.unasked = list(self.questions)
        self.out: list[MemoryRecord] = []
        self.steps: list[Callable[[], Awaitable[None]]] = [
            self.ask,
            self.pay,
            self.answer,
            self.answer,
            self.answer,
            self.lose,
            self.wait,
            self.restart,
            self.fail,
        ]

    async def run(self) -> None:
        for _ in range(self.chance.randint(10, 60)):
            await self.chance.choice(self.steps)()
            self.out += self.world.batches()
        while self.unasked:
            await self.ask()
        while len(first_reports(self.world)) < len(self.questions):
            await self.world.settle()
            self.world.advance(31_000)
            await self.tick()
        await self.world.settle()

    async def ask(self) -> None:
        """Ask, or ask again."""
        if self.unasked and self.chance.random() < 0.8:
            question = self.unasked.pop()
        else:
            question = self.chance.choice(self.questions)
            if question in self.unasked:
                return
        self.world.ask(RULES[question.rule], **question.fields)
        await self.world.shadow.run()

    async def pay(self) -> None:
        await self.world.pay()

    async def answer(self) -> None:
        """Judge some of the batches in any order, some of them more than once and at another speed."""
        self.chance.shuffle(self.out)
        for _ in range(self.chance.randint(0, 4)):
            if self.out:
                record = self.chance.choice(self.out)
                self.world.score(record, latency_ns=self.chance.randrange(10**6))
                if self.chance.random() < 0.7:
                    self.out.remove(record)
        await self.world.shadow.run()

    async def lose(self) -> None:
        self.out = [record for record in self.out if self.chance.random() < 0.5]

    async def wait(self) -> None:
        self.world.advance(self.chance.choice((0, 1, 500, 19_999, 31_000, 70_000)))
        await self.tick()

    async def tick(self) -> None:
        """Show the agent the time; what a worker does if that fails."""
        try:
            await self.world.shadow.tick()
        except RestoreTask:
            await self.world.shadow.stop(0)
            await self.world.shadow.run()

    async def restart(self) -> None:
        """Crash, or stop in order."""
        if self.chance.random() < 0.5:
            await self.world.shadow.stop(0)
        else:
            former = await self.world.shadow.restart(0)
            if former is not None:
                await former.close()

    async def fail(self) -> None:
        """Have a commit of some other time fail, or its answer get lost."""
        if self.chance.random() < 0.5:
            self.world.shadow.log.faults.fail_delivery(self.chance.choice(FAULTY))
        else:
            self.world.shadow.log.faults.fail_after_commit()


def first_reports(world: ShadowWorld) -> list[Report]:
    return [report for report in world.reports() if not report.replayed]


def is_late(report: Report, question: Question) -> bool:
    """Whether it failed by its deadline, which had passed then. What is complete waits for its payment."""
    late = report.code is EvaluationCode.DEADLINE_EXCEEDED
    assert not late or report.timings.execution_time_ms >= question.deadline_s * 1000
    return late


async def check(ordeal: Ordeal) -> Counter[str]:
    """Everything that must hold in the end; returns how the evaluations ended."""
    world, reports = ordeal.world, first_reports(ordeal.world)
    by_id = {report.eval_id: report for report in reports}
    assert len(reports) == len(by_id) == len(ordeal.questions)
    for question in ordeal.questions:
        report = by_id[question.eval_id]
        if not is_late(report, question):
            assert without_timings(report) == await undisturbed(question)
    for tenant_id in TENANTS:
        charges = [report.charge for report in reports if report.tenant_id == tenant_id]
        assert world.held(tenant_id) == 0
        assert world.spent(tenant_id) == sum(it.amount for it in charges if it.status == "committed")
    assert world.dead_letters() == []
    assert all(record.value is None for record in last_rows(world, tables.COLLECTED)), "no score is kept"
    entries = [entry for entry in world.shadow.messages(tables.AUDIT) if entry.action == "shadow.evaluate"]
    assert len(entries) == len({entry.idempotency_key for entry in entries}) == len(reports)
    return Counter(report.status for report in reports)


def last_rows(world: ShadowWorld, topic: str) -> list[MemoryRecord]:
    return list({record.key: record for record in world.shadow.read(topic)}.values())


async def endured(seed: str, stores: RocksStores | None = None) -> Counter[str]:
    print(f"ordeal {seed}")  # noqa: T201 - what replays a failure
    ordeal = Ordeal(random.Random(seed), await prepared(stores))  # noqa: S311 - not a secret
    await ordeal.run()
    return await check(ordeal)


@pytest.mark.soak
@pytest.mark.timeout(300 + RUNS)
async def test_whatever_goes_wrong_each_evaluation_is_reported_once_as_if_nothing_had() -> None:
    ended: Counter[str] = Counter()
    for run in range(RUNS):
        ended += await endured(f"{SEED}/{run}")
    print(ended)  # noqa: T201 - a run in which none was completed, or late, shows little
    assert ended["completed"] > RUNS
    assert ended["failed"] > 0


@pytest.mark.soak
@pytest.mark.timeout(300 + RUNS)
async def test_so_it_is_with_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_state, "CHECKPOINT_RECORDS", 3)
    for run in range(STORED_RUNS):
        await endured(f"{SEED}/stored/{run}", RocksStores(tmp_path / f"{run}", memory_bytes=64_000_000))
