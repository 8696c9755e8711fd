"""What is done to the system, and when: a plan that a seed decides wholly, and the hand that carries it out."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from shieldx.domains.audit.tables import LOG
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from tests.recovery import checkpoints

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shieldx.dev.broker import KafkaBroker
    from shieldx.dev.kafka_cluster import KafkaCluster
    from shieldx.dev.postgres import PostgresServer
    from tests.recovery.base_backup import BaseBackup
    from tests.recovery.fleet import Fleet

SESSION_TIMEOUT_S = 2.0
TRANSACTION_TIMEOUT_S = 5.0
REFUSED_BATCH_BYTES = 3000
"""Batches beyond it are refused for a while: a few results or entries fit, a busy partition's batch does not."""
REFUSED = (RESULTS, LOG)
MOVE_ON_S = 15.0
"""By then the sinks have gone on after a base backup, and there is something to be written again."""


class Kind(StrEnum):
    """A kind of fault."""

    KILL = "worker killed"
    KILL_RESTORING = "worker killed, and another while partitions move"
    KILL_STARTING = "worker killed, and its successor while starting"
    BLINK = "worker frozen for less than the session timeout"
    FREEZE = "worker frozen past the session timeout"
    FREEZE_LONG = "worker frozen past the transaction timeout"
    ADD = "worker added"
    REMOVE = "worker removed in order"
    BROKER_KILL = "broker killed and restarted"
    BROKER_KILL_MOVING = "worker killed, and the broker while partitions move"
    BROKER_FREEZE = "broker frozen"
    REFUSE = "broker refuses large batches of results and entries"
    SINK_KILL = "sink killed"
    SINK_FREEZE = "sink frozen past the session timeout"
    POSTGRES_KILL = "Postgres killed and restarted"
    POSTGRES_FREEZE = "Postgres frozen"
    POSTGRES_STALE = "Postgres put back to an older base backup"
    DISK_FULL = "disk of the workers full"
    DISK_DAMAGED = "worker killed, and its state on disk damaged"
    DISK_STALE = "state on disk put back to what it was"


LASTS_S: dict[Kind, tuple[float, float]] = {
    Kind.KILL: (0.0, 1.0),
    Kind.KILL_RESTORING: (SESSION_TIMEOUT_S - 0.3, SESSION_TIMEOUT_S + 1.0),
    Kind.KILL_STARTING: (0.7, 2.0),
    Kind.BLINK: (0.1, SESSION_TIMEOUT_S * 0.6),
    Kind.FREEZE: (SESSION_TIMEOUT_S + 0.5, SESSION_TIMEOUT_S + 2.0),
    Kind.FREEZE_LONG: (TRANSACTION_TIMEOUT_S + 1.5, TRANSACTION_TIMEOUT_S + 2.5),
    Kind.ADD: (0.5, 2.0),
    Kind.REMOVE: (0.0, 0.5),
    Kind.BROKER_KILL: (0.0, 1.0),
    Kind.BROKER_KILL_MOVING: (SESSION_TIMEOUT_S, SESSION_TIMEOUT_S + 0.6),
    Kind.BROKER_FREEZE: (0.5, SESSION_TIMEOUT_S + 1.0),
    Kind.REFUSE: (1.0, 2.0),
    Kind.SINK_KILL: (0.0, 1.0),
    Kind.SINK_FREEZE: (SESSION_TIMEOUT_S + 0.5, SESSION_TIMEOUT_S + 2.0),
    Kind.POSTGRES_KILL: (0.0, 1.0),
    Kind.POSTGRES_FREEZE: (0.5, 2.0),
    Kind.POSTGRES_STALE: (2.0, 4.0),
    Kind.DISK_FULL: (1.0, 3.0),
    Kind.DISK_DAMAGED: (0.0, 0.5),
    Kind.DISK_STALE: (2.0, 4.0),
}
"""Between which bounds each lasts, or how long until its second blow."""
FULL = ("checkpoints are postponed, and state stays in memory", "running without a checkpoint, in memory only")
"""What the engine logs of a full disk."""
DISK_SHOWS_S = 10.0
"""By then a worker has met it, even one that has only just started."""
POLL_S = 0.2
PAUSE_S = (0.2, 1.5)
"""Between one fault and the next: some strike while the last one is still being recovered from."""
USUAL_FLEET = 3
USUAL_SINKS = 2


class Fault(NamedTuple):
    """One fault to come."""

    kind: Kind
    wait_s: float
    lasts_s: float
    victim: float
    """In [0, 1): which of the workers then running."""

    def __str__(self) -> str:
        return f"after {self.wait_s:.2f} s: {self.kind} ({self.lasts_s:.2f} s, victim {self.victim:.2f})"


def plan(seed: int, rounds: int, kinds: Sequence[Kind] = tuple(Kind)) -> list[Fault]:
    """Every kind once in each round, in an order of the round's own."""
    random = Random(f"{seed}/faults")  # noqa: S311 - to be repeated, not to be secret
    faults = []
    for _ in range(rounds):
        for kind in _with_traffic(random.sample(list(kinds), len(kinds))):
            wait_s, lasts_s = random.uniform(*PAUSE_S), random.uniform(*LASTS_S[kind])
            faults.append(Fault(kind, wait_s, lasts_s, random.random()))
    return faults


def _with_traffic(order: list[Kind]) -> list[Kind]:
    """The order with the older Postgres in its first half: at the end nothing comes any more that it could lack."""
    half = len(order) // 2
    if Kind.POSTGRES_STALE in order[half:]:
        late = order.index(Kind.POSTGRES_STALE)
        order[late], order[late - half] = order[late - half], order[late]
    return order


def expected_s(faults: Sequence[Fault]) -> float:
    """About how long a plan takes: what it waits for, and a second of each for processes to start or end."""
    return sum(fault.wait_s + fault.lasts_s + 1.0 for fault in faults)


@dataclass
class Happened:
    """What was done in fact, and when."""

    began_s: float
    counts: Counter[Kind]
    lines: list[str]
    damaged: int = 0
    """Stores on disk that were damaged."""
    put_back: int = 0
    """Stores on disk that were put back to what they were."""
    rewound: int = 0
    """Records, at the least, that sinks had written when Postgres was put back to before them."""

    def note(self, fault: Fault) -> None:
        self.counts[fault.kind] += 1
        self.lines.append(f"{monotonic() - self.began_s:7.2f} s  {fault}")

    @property
    def worker_kills(self) -> int:
        """SIGKILLs of workers, at the least."""
        counts = self.counts
        once = counts[Kind.KILL] + counts[Kind.BROKER_KILL_MOVING] + counts[Kind.DISK_DAMAGED]
        twice = counts[Kind.KILL_RESTORING] + counts[Kind.KILL_STARTING]
        return once + 2 * twice + 2 * USUAL_FLEET * counts[Kind.DISK_STALE]


class Servers(NamedTuple):
    """What runs beside the workers."""

    kafka: KafkaCluster
    postgres: PostgresServer
    backup: BaseBackup


class Conductor:
    """Carries out a plan, one fault after another, and leaves a whole system behind."""

    def __init__(
        self, servers: Servers, fleet: Fleet, sinks: Fleet, state: Path, configs: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Describe it. `configs` are those of the topics that can be made to refuse."""
        self._kafka, self._postgres, self._backup = servers
        self._fleet = fleet
        self._sinks = sinks
        self._state = state
        self._configs = configs
        self.happened = Happened(monotonic(), Counter(), [])
        self._actions = {
            Kind.KILL: self._kill,
            Kind.KILL_RESTORING: self._kill_restoring,
            Kind.KILL_STARTING: self._kill_starting,
            Kind.BLINK: self._freeze,
            Kind.FREEZE: self._freeze,
            Kind.FREEZE_LONG: self._freeze,
            Kind.ADD: self._add,
            Kind.REMOVE: self._remove,
            Kind.BROKER_KILL: self._kill_broker,
            Kind.BROKER_KILL_MOVING: self._kill_broker_moving,
            Kind.BROKER_FREEZE: self._freeze_broker,
            Kind.REFUSE: self._refuse,
            Kind.SINK_KILL: self._kill_sink,
            Kind.SINK_FREEZE: self._freeze_sink,
            Kind.POSTGRES_KILL: self._kill_postgres,
            Kind.POSTGRES_FREEZE: self._freeze_postgres,
            Kind.POSTGRES_STALE: self._put_postgres_back,
            Kind.DISK_FULL: self._fill_disk,
            Kind.DISK_DAMAGED: self._damage_disk,
            Kind.DISK_STALE: self._put_disk_back,
        }

    async def run(self, faults: Sequence[Fault]) -> None:
        """Carry out all faults."""
        for fault in faults:
            await asyncio.sleep(fault.wait_s)
            self.happened.note(fault)
            await self._actions[fault.kind](fault)
        while len(self._fleet) < USUAL_FLEET:
            self._fleet.start()

    async def _kill(self, fault: Fault) -> None:
        self._fleet.kill(self._fleet.pick(fault.victim))
        await asyncio.sleep(fault.lasts_s)
        self._fleet.start()

    async def _kill_restoring(self, fault: Fault) -> None:
        self._fleet.kill(self._fleet.pick(fault.victim))
        await asyncio.sleep(fault.lasts_s)
        self._fleet.kill(self._fleet.pick(fault.victim))
        self._fleet.start()
        self._fleet.start()

    async def _kill_starting(self, fault: Fault) -> None:
        self._fleet.kill(self._fleet.pick(fault.victim))
        successor = self._fleet.start()
        await asyncio.sleep(fault.lasts_s)
        self._fleet.kill(successor)
        self._fleet.start()

    async def _freeze(self, fault: Fault) -> None:
        victim = self._fleet.pick(fault.victim)
        victim.freeze()
        await asyncio.sleep(fault.lasts_s)
        victim.thaw()

    async def _add(self, fault: Fault) -> None:
        self._fleet.start()
        await asyncio.sleep(fault.lasts_s)

    async def _remove(self, fault: Fault) -> None:
        await self._fleet.stop(self._fleet.pick(fault.victim))
        await asyncio.sleep(fault.lasts_s)

    async def _kill_broker(self, fault: Fault) -> None:
        broker = await self._leader(fault)
        await broker.kill()
        await asyncio.sleep(fault.lasts_s)
        await broker.start()

    async def _kill_broker_moving(self, fault: Fault) -> None:
        """The tasks that restore meet coordinators that are still loading, or have just moved."""
        broker = await self._leader(fault)
        self._fleet.kill(self._fleet.pick(fault.victim))
        await asyncio.sleep(fault.lasts_s)
        await broker.kill()
        await broker.start()
        self._fleet.start()

    async def _freeze_broker(self, fault: Fault) -> None:
        broker = await self._leader(fault)
        await broker.freeze()
        await asyncio.sleep(fault.lasts_s)
        await broker.thaw()

    async def _refuse(self, fault: Fault) -> None:
        await self._configure({"max.message.bytes": str(REFUSED_BATCH_BYTES)})
        await asyncio.sleep(fault.lasts_s)
        await self._configure({})

    async def _leader(self, fault: Fault) -> KafkaBroker:
        """The leader of one partition of the commands, as it is now; any broker while nobody can be asked."""
        brokers = self._kafka.brokers
        admin = AIOKafkaAdminClient(bootstrap_servers=self._kafka.bootstrap)
        try:
            await admin.start()
            (topic,) = await admin.describe_topics([COMMANDS])
        except KafkaError:
            return brokers[int(fault.victim * len(brokers))]
        finally:
            await admin.close()
        leaders: list[int] = [partition["leader"] for partition in topic["partitions"] if partition["leader"] > 0]
        return brokers[leaders[int(fault.victim * len(leaders))] - 1]

    async def _kill_sink(self, fault: Fault) -> None:
        self._sinks.kill(self._sinks.pick(fault.victim))
        await asyncio.sleep(fault.lasts_s)
        self._sinks.start()

    async def _freeze_sink(self, fault: Fault) -> None:
        victim = self._sinks.pick(fault.victim)
        victim.freeze()
        await asyncio.sleep(fault.lasts_s)
        victim.thaw()

    async def _kill_postgres(self, fault: Fault) -> None:
        await self._postgres.kill()
        await asyncio.sleep(fault.lasts_s)
        await self._postgres.start()

    async def _freeze_postgres(self, fault: Fault) -> None:
        await self._postgres.freeze()
        await asyncio.sleep(fault.lasts_s)
        await self._postgres.thaw()

    async def _put_postgres_back(self, fault: Fault) -> None:
        taken = await self._backup.take()
        await asyncio.sleep(fault.lasts_s)
        in_order = fault.victim < 0.5
        self.happened.rewound += await self._backup.put_back(taken, in_order=in_order, timeout_s=MOVE_ON_S)

    async def _fill_disk(self, fault: Fault) -> None:
        """The disk is one for all workers."""
        victims = list(self._fleet.running)
        for victim in victims:
            victim.fill_disk()
        await asyncio.sleep(fault.lasts_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISK_SHOWS_S):
                while not any(self._fleet.events()[message] for message in FULL):  # noqa: ASYNC110 - in other processes
                    await asyncio.sleep(POLL_S)
        for victim in victims:
            victim.free_disk()

    async def _damage_disk(self, fault: Fault) -> None:
        """One worker after another, until one of them leaves a store behind that nobody has open."""
        killed = damaged = 0
        while not damaged and self._fleet.running:
            self._fleet.kill(self._fleet.pick(fault.victim))
            killed += 1
            damaged = checkpoints.damage(self._state, Random(fault.victim))  # noqa: S311 - to be repeated
        self.happened.damaged += damaged
        await asyncio.sleep(fault.lasts_s)
        for _ in range(killed):
            self._fleet.start()

    async def _put_disk_back(self, fault: Fault) -> None:
        backups = self._state.with_name("backups")
        self._kill_all()
        checkpoints.back_up(self._state, backups)
        self._start_all()
        await asyncio.sleep(fault.lasts_s)
        self._kill_all()
        self.happened.put_back += checkpoints.put_back(self._state, backups)
        self._start_all()

    def _kill_all(self) -> None:
        for worker in list(self._fleet.running):
            self._fleet.kill(worker)

    def _start_all(self) -> None:
        for _ in range(USUAL_FLEET):
            self._fleet.start()

    async def _configure(self, more: Mapping[str, str]) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._kafka.bootstrap)
        await admin.start()
        try:
            await admin.alter_configs(
                [
                    ConfigResource(ConfigResourceType.TOPIC, topic, dict(config) | dict(more))
                    for topic, config in self._configs.items()
                ]
            )
        finally:
            await admin.close()
