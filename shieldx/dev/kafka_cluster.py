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
from shieldx.dev.cluster_plan import ClusterFolder, ClusterPlan, Place
from shieldx.dev.first_to_end import first_to_end
from shieldx.dev.kafka_install import install_kafka

_log = logging.getLogger(__name__)

_MOST_RESTARTS = 3
"""Of one broker that ends by itself; then something is wrong that another start would not mend."""


class KafkaCluster:
    """One broker or three, each a controller too. With three, any one may be missing."""

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
        """Describe a cluster; nothing happens yet.

        `brokers` is 1 or 3, by default as many as the folder has, or one; `port` is the first one's. The other
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
        """Each broker, in the order of their numbers; none before `start`."""
        return self._brokers

    @property
    def bootstrap(self) -> str:
        """The addresses, host:port separated by commas. Raises RuntimeError before the folder's first start."""
        return ",".join(f"127.0.0.1:{member.ports.broker}" for member in self.plan.members)

    @property
    def plan(self) -> ClusterPlan:
        """What the folder's first start has fixed. Raises RuntimeError before it."""
        plan = self._cluster.plan()
        if plan is None:
            raise RuntimeError("the brokers' ports are chosen at their first start")
        return plan

    async def start(self, *, timeout_s: float = 60.0) -> None:
        """Start all brokers at once and return once each answers; those that run are left alone.

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
        """Stop all brokers in order, or kill those that take longer; without effect on those that do not run."""
        await asyncio.gather(*(broker.stop(timeout_s=timeout_s) for broker in self._brokers))

    async def kill(self) -> None:
        """Kill all brokers with SIGKILL; a later start recovers their data."""
        await asyncio.gather(*(broker.kill() for broker in self._brokers))

    async def watch(self) -> None:
        """Wait until the cluster cannot go on by itself.

        One of three that ends is started again, and `progress` is told: the others do its work meanwhile. Raises
        BrokerEnded when the only broker ended, or one ended again and again, the errors of KafkaBroker.start
        when one cannot be started again, and RuntimeError when none is running.
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
                self._progress(f"{broker.place}: {error.brief}; starting it again")
                await broker.start()
                self._progress(f"{broker.place} is back")
        await broker.watch()

    def _planned(self) -> tuple[KafkaBroker, ...]:
        count = len(self._cluster.planned(self._asked).members)
        return tuple(
            KafkaBroker(
                self._folder,
                place=Place(number, count),
                java=self._java,
                cache=self._cache,
                port=self._port if number == 1 else None,
                properties=self._properties,
                security=self._security,
                progress=self._progress,
            )
            for number in range(1, count + 1)
        )
