"""The embedded stack in one folder."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from shieldx.dev.broker import KafkaBroker
from shieldx.dev.file_lock import FileLock


class Stack:
    """All that ShieldX needs to run on one machine, in one folder: today, a Kafka broker.

    As an async context manager it starts on entry and stops in order on exit.
    """

    def __init__(
        self,
        folder: Path,
        *,
        java: Path | None = None,
        cache: Path | None = None,
        port: int | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        """Describe a stack; nothing happens yet. The arguments are those of KafkaBroker."""
        self._lock = FileLock(folder.absolute() / "lock")
        self._broker = KafkaBroker(folder, java=java, cache=cache, port=port, progress=progress)

    @property
    def bootstrap(self) -> str:
        """The broker's address, host:port. Raises RuntimeError before the folder's first start."""
        return self._broker.bootstrap

    async def start(self) -> None:
        """Start everything and return once it answers.

        Raises StopTheOtherProcess when another stack runs in the folder, and the errors of
        KafkaBroker.start.
        """
        self._lock.acquire()
        try:
            await self._broker.start()
        except BaseException:
            self._lock.release()
            raise

    async def stop(self) -> None:
        """Stop everything in order; without effect when it is stopped."""
        try:
            await self._broker.stop()
        finally:
            self._lock.release()

    async def watch(self) -> None:
        """Wait until a part of the stack ends by itself. Raises BrokerEnded then."""
        await self._broker.watch()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
