"""One run: brokers, Postgres, workers, clients, faults, and the verdict."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from io import StringIO
from time import monotonic
from typing import TYPE_CHECKING

import msgspec
from rich.columns import Columns
from rich.console import Console
from rich.table import Table

from shieldx.bootstrap.platform import Platform
from shieldx.dev.kafka_cluster import KafkaCluster
from shieldx.dev.postgres import PostgresServer
from shieldx.settings import Settings
from tests.recovery.answers import Answers
from tests.recovery.appender import NEXT_KEY, Appended
from tests.recovery.audit_verdict import AuditJudge
from tests.recovery.base_backup import BaseBackup
from tests.recovery.faults import (
    REFUSED,
    SESSION_TIMEOUT_S,
    TRANSACTION_TIMEOUT_S,
    USUAL_FLEET,
    USUAL_SINKS,
    Conductor,
    Fault,
    Happened,
    Servers,
    expected_s,
)
from tests.recovery.fleet import Fleet, WorkerEnded
from tests.recovery.traffic import Tally, Traffic
from tests.recovery.verdict import Judge, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

BROKERS = 3
PARTITIONS = 4
CLIENTS = 6
APPLICATION = "chaos"
AGENTS = ("credits", "audit")
SINKS = ("credits-statements", "audit-mirror")
KEYS = {"first": b"1" * 32, NEXT_KEY: b"2" * 32}
STARTING_S = 90.0
"""For the first answer: however little patience a run has for stalls, a busy machine must be let begin."""
FOLDED_PER_S = 1000
"""By the model, at the least, on a busy machine."""


DEFECT = "restoring after a defect"
"""What the engine logs of an error that it did not foresee."""


@dataclass(frozen=True)
class Ordeal:
    """What to do to which system."""

    seed: int
    commands: int
    faults: list[Fault]
    sabotage: str | None = None
    patience_s: float = 90.0
    """After the last fault, for what is still unanswered; and then for what is uncommitted."""


@dataclass
class Outcome:
    """What came of it."""

    ordeal: Ordeal
    tally: Tally
    appended: Appended
    client_restarts: int
    happened: Happened
    verdict: Verdict
    audit: Counter[str]
    workers_started: int
    events: Counter[str]
    elapsed_s: float
    logs: str

    def report(self) -> str:
        """Seed and counts, as tables."""
        text = StringIO()
        console = Console(file=text, width=140)
        tally, verdict = self.tally, self.verdict
        console.print(
            f"CHAOS_SEED={self.ordeal.seed} CHAOS_COMMANDS={self.ordeal.commands} "
            f"sabotage={self.ordeal.sabotage}: {self.elapsed_s:.1f} s, {tally.commands} commands, "
            f"{tally.retries} retries, {self.appended.resent} appends sent again, "
            f"{self.client_restarts} restarts of clients, "
            f"{self.workers_started} workers started, {self.happened.worker_kills} SIGKILLs of workers, "
            f"{self.happened.damaged} stores damaged and {self.happened.put_back} put back, "
            f"{self.happened.rewound} records taken from Postgres again"
        )
        counters: list[tuple[str, Counter[str]]] = [
            ("sent, by kind", tally.kinds),
            ("appended, by kind", self.appended.kinds),
            ("results, by code", verdict.results),
            ("faults", Counter({str(kind): number for kind, number in self.happened.counts.items()})),
            ("dead letters, by reason", verdict.dead_letters),
            ("records read back", verdict.records),
            ("audit log", self.audit),
            ("logged by workers", self.events),
        ]
        console.print(Columns([_table(title, counter) for title, counter in counters]))
        return text.getvalue()


async def undergo(ordeal: Ordeal, folder: Path) -> Outcome:
    """Run an ordeal from nothing to its verdict, and leave no process behind."""
    began_s = monotonic()
    kafka, postgres = KafkaCluster(folder, brokers=BROKERS), PostgresServer(folder)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(kafka.kill)
        stack.push_async_callback(postgres.kill)
        await asyncio.gather(kafka.start(), postgres.start())
        bootstrap = kafka.bootstrap
        keyring_file = _write_keyring(folder)
        platform = await _platform(bootstrap, postgres.dsn, keyring_file)
        arguments = () if ordeal.sabotage is None else ("--sabotage", ordeal.sabotage)
        environment, state = _environment(bootstrap, postgres.dsn, keyring_file), folder / "state"
        # Sabotage removes a rule of transactions; the contents of the topics must show it.
        on_disk = {} if ordeal.sabotage else {"SHIELDX_STATE_FOLDER": str(state)}
        fleet = Fleet("worker", AGENTS, folder, environment | on_disk, arguments)
        sinks = Fleet("sink", SINKS, folder, environment)
        stack.callback(fleet.close)
        stack.callback(sinks.close)
        servers = Servers(kafka, postgres, BaseBackup(postgres, folder))
        configs = {topic: platform.topics[topic].config() for topic in REFUSED}
        conductor = Conductor(servers, fleet, sinks, state, configs)
        judge = Judge(bootstrap, f"{APPLICATION}.credits", PARTITIONS)
        audit = AuditJudge(platform, f"{APPLICATION}.audit", platform.keyring)
        answers = await stack.enter_async_context(Answers(bootstrap, PARTITIONS))
        traffic = Traffic(ordeal.seed, CLIENTS, PARTITIONS, bootstrap, answers)
        async with _supervised(sinks, USUAL_SINKS), _supervised(fleet, USUAL_FLEET):
            unanswered = await _strike(ordeal, traffic, answers.first, conductor)
            await judge.settle(ordeal.patience_s + ordeal.commands / FOLDED_PER_S)
            await audit.settle(ordeal.patience_s)
            await fleet.stop_all()
            verdict = await judge.judge(traffic.tally.keys)
            await judge.compare_projections(postgres.dsn, ordeal.patience_s)
            await audit.judge(traffic.appender.appended.keys)
            await audit.compare_mirror(postgres.dsn, ordeal.patience_s)
        await sinks.stop_all()
        verdict.wrong += audit.wrong
        events = fleet.events() + sinks.events()
        if defects := events[DEFECT]:
            verdict.wrong.append(f"workers met {defects} defects; their logs say which")
        verdict.wrong[:0] = unanswered
        return Outcome(
            ordeal=ordeal,
            tally=traffic.tally,
            appended=traffic.appender.appended,
            client_restarts=traffic.restarts,
            happened=conductor.happened,
            verdict=verdict,
            audit=audit.counts,
            workers_started=fleet.started,
            events=events,
            elapsed_s=monotonic() - began_s,
            logs=f"{sinks.notable()}\n{fleet.notable()}" if verdict.wrong else "",
        )


@asynccontextmanager
async def _supervised(fleet: Fleet, count: int) -> AsyncIterator[None]:
    """Workers for as long as the block lasts. Raises WorkerEnded if one ended by itself, and ends the block then."""
    for _ in range(count):
        fleet.start()
    try:
        async with asyncio.TaskGroup() as group:
            supervising = group.create_task(fleet.supervise(), name="supervisor")
            yield
            supervising.cancel()
    except* WorkerEnded as ended:
        raise ended.exceptions[0] from None


async def _strike(ordeal: Ordeal, traffic: Traffic, working: asyncio.Event, conductor: Conductor) -> list[str]:
    """Traffic and faults together; the traffic is paced to last as long as the faults."""
    pace = ordeal.commands / expected_s(ordeal.faults)
    sending = asyncio.create_task(traffic.run(ordeal.commands, pace), name="traffic")
    try:
        if not await _happens(working.wait(), STARTING_S):
            return [f"nothing was answered {STARTING_S:.0f} s after the start"]
        await conductor.run(ordeal.faults)
        if not await _happens(sending, ordeal.patience_s):
            return [f"not all was answered {ordeal.patience_s:.0f} s after the last fault"]
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    return []


async def _happens(awaited: Awaitable[object], timeout_s: float) -> bool:
    """Whether it happens in time."""
    try:
        async with asyncio.timeout(timeout_s):
            await awaited
    except TimeoutError:
        return False
    return True


async def _platform(bootstrap: str, dsn: str, keyring_file: Path) -> Platform:
    settings = Settings(application=APPLICATION, postgres_dsn=dsn, audit_keyring_file=keyring_file)
    platform = Platform(settings, bootstrap=bootstrap, partitions=PARTITIONS)
    await platform.topic_admin.create(platform.topics, partitions=PARTITIONS, replication=BROKERS)
    await platform.schema.up()
    return platform


def _write_keyring(folder: Path) -> Path:
    path = folder / "audit-keyring.json"
    path.write_bytes(msgspec.json.encode({"first": next(iter(KEYS)), "keys": KEYS}))
    return path


def _environment(bootstrap: str, dsn: str, keyring_file: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SHIELDX_")}
    return inherited | {
        "SHIELDX_APPLICATION": APPLICATION,
        "SHIELDX_KAFKA_BOOTSTRAP": bootstrap,
        "SHIELDX_POSTGRES_DSN": dsn,
        "SHIELDX_AUDIT_KEYRING_FILE": str(keyring_file),
        "SHIELDX_PARTITIONS": str(PARTITIONS),
        "SHIELDX_SESSION_TIMEOUT_MS": str(int(SESSION_TIMEOUT_S * 1000)),
        "SHIELDX_TRANSACTION_TIMEOUT_MS": str(int(TRANSACTION_TIMEOUT_S * 1000)),
        "SHIELDX_RECORDS_AT_A_TIME": "200",
    }


def _table(title: str, counter: Counter[str]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    for name, number in sorted(counter.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(name, f"{number:,}")
    return table
