"""The worker processes: started, killed, frozen and thawed by their process ids, and by nothing broader."""

from __future__ import annotations

import asyncio
import re
import resource
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from signal import SIGCONT, SIGSTOP, SIGTERM
from threading import Thread
from typing import TYPE_CHECKING

import psutil

from shieldx.dev.child_process import bound_to_this_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ENTRY = Path(__file__).with_name("worker_process.py")
_MESSAGE = re.compile(r'"message":"([^:"]*)')
_POLL_S = 0.05
_SUPERVISE_S = 0.5
_STOP_S = 20.0
_FULL_BYTES = 4096
_TAIL_LINES = 40
_NOTABLE = re.compile(r'"level":"(warning|error|critical)","logger":"shieldx')
_NOTABLE_CHARACTERS = 3000
_NO_BROKER = ("no broker responds", "KafkaConnectionError", "NodeNotReadyError", "RequestTimedOutError")
"""In the last line of a worker that could not start, since a broker was dead or frozen at that moment."""


class WorkerEnded(Exception):
    """A worker ended by itself."""


class WorkerProcess:
    """One worker, from its start to its end."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str], arguments: tuple[str, ...]) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.leaving = False
        self._process = subprocess.Popen(  # noqa: S603, TID251 - this very test as another process; its log is bytes
            bound_to_this_process([sys.executable, _ENTRY, *arguments]),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._logging = Thread(target=self._write_log, name=f"log of {name}", daemon=True)
        self._logging.start()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._logging.join()

    def fill_disk(self) -> None:
        """Have the kernel refuse all that it writes to files, as on a full disk."""
        self._limit_files(_FULL_BYTES)

    def free_disk(self) -> None:
        self._limit_files(resource.RLIM_INFINITY)

    def _limit_files(self, most_bytes: int) -> None:
        if self._process.poll() is None:
            _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (most_bytes, hard))

    def _write_log(self) -> None:
        """From a pipe: a worker whose disk is full must still be heard."""
        assert self._process.stdout is not None
        with self.log.open("ab") as output, self._process.stdout as lines:
            shutil.copyfileobj(lines, output)

    def freeze(self) -> None:
        self._process.send_signal(SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(SIGCONT)

    def children(self) -> list[psutil.Process]:
        """The processes that it has started, if it still runs."""
        try:
            children: list[psutil.Process] = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return children

    async def stop(self) -> int:
        """End it in order, and return its exit status."""
        self.leaving = True
        self._process.send_signal(SIGTERM)
        async with asyncio.timeout(_STOP_S):
            while (status := self._process.poll()) is None:  # noqa: ASYNC110 - the kernel sets no asyncio.Event
                await asyncio.sleep(_POLL_S)
        self._logging.join()
        return status

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self._process.poll() is not None

    @property
    def has_logged(self) -> bool:
        """Whether it got as far as to hear of signals."""
        return self.log.exists() and self.log.stat().st_size > 0

    @property
    def found_no_broker(self) -> bool:
        """Whether it ended because it could not even start."""
        last = self.log.read_text(errors="replace").rstrip().rpartition("\n")[2]
        return any(reason in last for reason in _NO_BROKER)

    def tail(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"--- {self.log}", *lines[-_TAIL_LINES:]])


class Fleet:
    """Workers that are alike: each process runs all the agents or sinks that are named."""

    def __init__(
        self,
        name: str,
        agents: tuple[str, ...],
        folder: Path,
        environment: Mapping[str, str],
        arguments: tuple[str, ...] = (),
    ) -> None:
        self._name = name
        self._folder = folder
        self._environment = dict(environment)
        self._arguments = (*agents, *arguments)
        self._running: list[WorkerProcess] = []
        self._gone: list[WorkerProcess] = []
        self.restarted = 0

    def __len__(self) -> int:
        return len(self._running)

    @property
    def running(self) -> Sequence[WorkerProcess]:
        """Those that were started and not ended from here."""
        return self._running

    @property
    def started(self) -> int:
        """Workers ever started."""
        return len(self._running) + len(self._gone)

    def start(self) -> WorkerProcess:
        name = f"{self._name}-{self.started}"
        worker = WorkerProcess(name, self._folder, self._environment, self._arguments)
        self._running.append(worker)
        return worker

    def pick(self, fraction: float) -> WorkerProcess:
        """One of those running, by a number in [0, 1)."""
        self.revive()
        return self._running[int(fraction * len(self._running))]

    def kill(self, worker: WorkerProcess) -> None:
        worker.kill()
        self._retire(worker)

    async def stop(self, worker: WorkerProcess) -> None:
        """End a worker in order. Raises WorkerEnded if it does not comply."""
        status = await worker.stop()
        self._retire(worker)
        if status != 0 and worker.has_logged:
            raise WorkerEnded(f"a worker that was asked to stop ended with status {status}:\n{worker.tail()}")

    async def stop_all(self) -> None:
        """End all in order, one after the other, so that the last one has had every partition."""
        for worker in list(self._running):
            await self.stop(worker)

    def revive(self) -> None:
        """Start a successor of each worker that could not start, as a supervisor does.

        Raises:
            WorkerEnded: a worker ended by itself for any other reason.
        """
        for worker in [worker for worker in self._running if worker.ended and not worker.leaving]:
            if not worker.found_no_broker:
                raise WorkerEnded(f"a worker ended by itself:\n{worker.tail()}")
            self._retire(worker)
            self.start()
            self.restarted += 1

    async def supervise(self) -> None:
        """Keep every worker alive. Raises WorkerEnded as `revive` does."""
        while True:
            self.revive()
            await asyncio.sleep(_SUPERVISE_S)

    def close(self) -> None:
        """Kill what still runs."""
        for worker in list(self._running):
            self.kill(worker)

    def events(self) -> Counter[str]:
        """What the engine logged, by the first words of each message."""
        counts: Counter[str] = Counter()
        for worker in self:
            for line in worker.log.read_text(errors="replace").splitlines():
                if '"logger":"shieldx.' in line:
                    counts[_MESSAGE.findall(line)[0]] += 1
        return counts

    def notable(self) -> str:
        """What the engine has warned of: what aiokafka says while a broker is dead would bury it."""
        lines = [
            f"{worker.name} {line[:_NOTABLE_CHARACTERS]}"
            for worker in self
            for line in worker.log.read_text(errors="replace").splitlines()
            if _NOTABLE.search(line)
        ]
        return "\n".join(sorted(lines, key=lambda line: "defect" in line))

    def __iter__(self) -> Iterator[WorkerProcess]:
        yield from self._gone
        yield from self._running

    def _retire(self, worker: WorkerProcess) -> None:
        self._running.remove(worker)
        self._gone.append(worker)
