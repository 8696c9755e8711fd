"""Evaluations under fire: every report complete, none twice, equal to the undisturbed one; nothing stays reserved."""

from __future__ import annotations

import asyncio
import os
from collections import Counter, defaultdict
from contextlib import ExitStack
from time import time_ns
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.worker_environment import worker_environment
from shieldx.dev.stack import Stack
from shieldx.domains.credits.tables import ACCOUNTS
from shieldx.domains.shadow import tables
from shieldx.keyring.file import new_keyring
from shieldx.messages import DEAD_LETTERS
from shieldx.settings import load_settings
from tests.lengths import length
from tests.recovery.fleet import Fleet
from tests.recovery.reading import read_topic
from tests.recovery.shadow_faults import Faults, Kind, plan
from tests.recovery.shadow_traffic import PURCHASED, Sender, evaluations, samples

if TYPE_CHECKING:
    from pathlib import Path

SEED = int(os.environ.get("SHADOW_SEED", time_ns() % 1_000_000))
PARTITIONS = 3
CALM, UNDER_FIRE = ("calm-0", "calm-1", "calm-2"), ("fire-0", "fire-1", "fire-2")
EVALUATIONS = length(short=20, soak=60)
SPREAD_S = 25.0
"""Evaluations under fire begin over so long, so that some run whatever happens when."""
PRICE_PER_1000 = 100
SETTINGS = {
    "SHIELDX_SESSION_TIMEOUT_MS": "6000",
    "SHIELDX_SHADOW_PROCESSES": "2",
    "SHIELDX_SHADOW_PRICE_PER_1000": str(PRICE_PER_1000),
    "SHIELDX_PARTITIONS": str(PARTITIONS),
}


@pytest.mark.integration
@pytest.mark.recovery
@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_every_evaluation_is_reported_once_as_if_nothing_had_happened(tmp_path: Path) -> None:
    print(f"\nSHADOW_SEED={SEED}")  # noqa: T201 - known even if the run never ends
    async with Stack(tmp_path / "stack") as stack:
        settings = load_settings(SETTINGS)
        platform = Platform(settings, bootstrap=stack.bootstrap, partitions=PARTITIONS)
        await platform.topic_admin.create(platform.topics, partitions=PARTITIONS, replication=1)
        new_keyring(tmp_path / "platform.json", "k")
        keys = {"SHIELDX_PLATFORM_KEYRING_FILE": str(tmp_path / "platform.json")}
        environment = os.environ | SETTINGS | worker_environment(settings, stack.bootstrap) | keys
        with ExitStack() as fleets:
            planners = Fleet("planner", ("credits", "shadow"), tmp_path, environment)
            evaluators = Fleet("evaluator", ("shadow-evaluators",), tmp_path, environment)
            for fleet in (planners, evaluators):
                fleets.callback(fleet.close)
                fleet.start()
            evaluators.start()
            faults = Faults(evaluators, planners, SEED)
            await _undergo(stack.bootstrap, faults)
            logs = f"{planners.notable()}\n{evaluators.notable()}"
        wrong = await _verdict(stack.bootstrap)
    print(f"{dict(faults.happened)}")  # noqa: T201 - what a reader of the run looks for
    if wrong:
        pytest.fail("\n".join([logs, f"SHADOW_SEED={SEED}", *wrong]), pytrace=False)
    assert set(faults.happened) == set(Kind)


async def _undergo(bootstrap: str, faults: Faults) -> None:
    """The calm tenants' evaluations, each awaited; then those under fire."""
    asked = evaluations(SEED, EVALUATIONS)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        sender, ordered = Sender(producer, PARTITIONS), samples(SEED)
        for tenant_id in (*CALM, *UNDER_FIRE):
            await sender.purchase(tenant_id)
            await sender.import_samples(tenant_id, ordered)
        for evaluate in asked:
            for tenant_id in CALM:
                await sender.ask(tenant_id, evaluate)
        await _await_reports(bootstrap, CALM)
        async with asyncio.TaskGroup() as group:
            group.create_task(faults.happen(plan(SEED)))
            for evaluate in asked:
                for tenant_id in UNDER_FIRE:
                    await sender.ask(tenant_id, evaluate)
                await asyncio.sleep(SPREAD_S / EVALUATIONS)
        await _await_reports(bootstrap, UNDER_FIRE)
        await _await_settlement(bootstrap)


async def _await_reports(bootstrap: str, tenants: tuple[str, ...]) -> None:
    """Until each tenant has a report on each of its evaluations."""
    missing = {(tenant, f"evaluation-{number}") for tenant in tenants for number in range(EVALUATIONS)}
    async with _consumer(bootstrap, tables.REPORTS) as consumer:
        async for record in consumer:
            report = msgspec.json.decode(record.value)
            missing.discard((report["tenant_id"], report["eval_id"]))
            if not missing:
                return


async def _await_settlement(bootstrap: str) -> None:
    """Until the ledger holds nothing for anyone."""
    held: dict[str, int] = dict.fromkeys((*CALM, *UNDER_FIRE), 1)
    ends = 0
    async with _consumer(bootstrap, "credits.results") as consumer:
        async for record in consumer:
            result = msgspec.json.decode(record.value)
            held[result["tenant_id"]] = result["balance"]["reserved_funds"]
            ends += result["type"] == "commit"
            if ends == EVALUATIONS * len(held) and not any(held.values()):
                return


def _consumer(bootstrap: str, topic: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    )


async def _verdict(bootstrap: str) -> list[str]:
    """What is wrong with what the topics say at the end."""
    wrong: list[str] = []
    reports: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
    counted: Counter[tuple[str, str]] = Counter()
    charged: Counter[str] = Counter()
    for record in await _records(bootstrap, tables.REPORTS):
        report = msgspec.json.decode(record)
        key = report["tenant_id"], report["eval_id"]
        counted[key] += 1
        charged[key[0]] += report["charge"]["amount"]
        if report["status"] != "completed":
            wrong.append(f"{key} is {report['status']}: {report['code']}, {report['detail']}")
        reports[key[0]][key[1]] = _what_must_be_equal(report)
    wrong += [f"{key} was reported {times} times" for key, times in counted.items() if times != 1]
    for calm, fire in zip(CALM, UNDER_FIRE, strict=True):
        if reports[calm] != reports[fire]:
            wrong += [
                f"{fire} {eval_id} differs:\n{report!r}\n{reports[fire].get(eval_id)!r}"
                for eval_id, report in reports[calm].items()
                if reports[fire].get(eval_id) != report
            ]
    accounts = {}
    for record in await _records(bootstrap, ACCOUNTS):
        row = msgspec.json.decode(record)
        accounts[row["tenant_id"]] = row
    for tenant_id, row in accounts.items():
        spent = PURCHASED - row["balance"]
        if row["reserved_funds"] or spent != charged[tenant_id]:
            wrong.append(f"{tenant_id}: {row['reserved_funds']} held, {spent} spent, {charged[tenant_id]} charged")
    letters = [msgspec.json.decode(record) for record in await _records(bootstrap, DEAD_LETTERS)]
    return wrong + [f"dead letter: {letter}" for letter in letters]


async def _records(bootstrap: str, topic: str) -> list[bytes]:
    return [
        record.value
        for partition in await read_topic(bootstrap, topic, PARTITIONS)
        for record in partition
        if record.value is not None
    ]


def _what_must_be_equal(report: dict[str, Any]) -> bytes:
    """All but who asked, where the tenant's samples stand, and how long it took."""
    left_out = {"tenant_id", "sample_offsets", "timings"}
    report["charge"].pop("reservation_id")
    return msgspec.json.encode({name: value for name, value in report.items() if name not in left_out})
