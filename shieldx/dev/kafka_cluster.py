"""A Kafka cluster of one broker or three, as child processes."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from shieldx.dev.broker import KafkaBroker
from shieldx.dev.broker_process import BrokerEnded
from shieldx.dev.broker_security import Security
from shieldx.dev.cache_folder import cache_folder
from shieldx.dev.cluster_plan import BrokerOrdinal, ClusterFolder, ClusterPlan
from shieldx.dev.first_to_end import first_to_end
from shieldx.dev.kafka_install import install_kafka

_log = logging.getLogger(__name__)

_MOST_RESTARTS = 3
"""How often a broker may exit by itself. After that, another restart would not help."""


class KafkaCluster:
    """One broker or three, each also a controller. Of three, any one may be down."""

    def __init__(
        self,
        folder: Path,
        *,
        brokers: int | None = None,
        java: Path | None = None,
        cache: Path | None = None,
        port: int | None = None,
        properties: Mapping[str, str] = MappingProxyType({}),
        security: Security | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        """Describe a cluster without starting it.

        `brokers` is 1 or 3, by default the number that the folder has, or 1. `port` is the first broker's. The other
        arguments are those of KafkaBroker.
        """
        self._folder = folder
        self._asked = brokers
        self._cluster = ClusterFolder(folder.absolute() / "kafka")
        self._java = java
        self._cache = cache or cache_folder()
        self._port = port
        self._properties = properties
        self._security = security
        self._progress = progress or _log.info
        self._brokers: tuple[KafkaBroker, ...] = ()

    @property
    def brokers(self) -> tuple[KafkaBroker, ...]:
        """The brokers in the order of their numbers; empty before `start`."""
        return self._brokers

    @property
    def bootstrap(self) -> str:
        """The addresses, host:port separated by commas. Raises RuntimeError before the first start in the folder."""
        return ",".join(f"127.0.0.1:{member.ports.broker}" for member in self.plan.members)

    @property
    def plan(self) -> ClusterPlan:
        """The plan of the first start in the folder. Raises RuntimeError before it."""
        plan = self._cluster.plan()
        if plan is None:
            raise RuntimeError("the brokers have no ports before their first start")
        return plan

    async def start(self, *, timeout_s: float = 60.0) -> None:
        """Start all brokers at once and return when all respond. Brokers that already run are left alone.

        Raises the errors of KafkaBroker.start; no broker runs then.
        """
        if not self._brokers:
            await install_kafka(self._cache, self._java, self._progress)
            self._brokers = self._planned()
        try:
            async with asyncio.TaskGroup() as starting:
                for broker in self._brokers:
                    starting.create_task(broker.start(timeout_s=timeout_s))
        except BaseExceptionGroup as group:
            await self.kill()
            raise group.exceptions[0] from None
        except asyncio.CancelledError:
            await self.kill()
            raise

    async def stop(self, *, timeout_s: float = 10.0) -> None:
        """Stop all running brokers gracefully, and kill those that take longer than `timeout_s`."""
        await asyncio.gather(*(broker.stop(timeout_s=timeout_s) for broker in self._brokers))

    async def kill(self) -> None:
        """Kill all brokers with SIGKILL. The next start recovers their data."""
        await asyncio.gather(*(broker.kill() for broker in self._brokers))

    async def watch(self) -> None:
        """Watch the cluster until it fails.

        If one of three brokers exits, it is restarted and `progress` is called; the other two serve clients meanwhile.
        Raises BrokerEnded if the only broker exits or one exits repeatedly, the errors of KafkaBroker.start if one
        cannot be restarted, and RuntimeError if none is running.
        """
        if not self._brokers:
            raise RuntimeError("the cluster is not running")
        await first_to_end([self._watch(broker) for broker in self._brokers])

    async def _watch(self, broker: KafkaBroker) -> None:
        for _ in range(_MOST_RESTARTS):
            try:
                await broker.watch()
            except BrokerEnded as error:
                if len(self._brokers) == 1:
                    raise
                self._progress(f"{broker.ordinal}: {error.brief}; restarting it")
                await broker.start()
                self._progress(f"{broker.ordinal} is running again")
        await broker.watch()

    def _planned(self) -> tuple[KafkaBroker, ...]:
        count = len(self._cluster.planned(self._asked).members)
        return tuple(
            KafkaBroker(
                self._folder,
                ordinal=BrokerOrdinal(number, count),
                java=self._java,
                cache=self._cache,
                port=self._port if number == 1 else None,
                properties=self._properties,
                security=self._security,
                progress=self._progress,
            )
            for number in range(1, count + 1)
        )
