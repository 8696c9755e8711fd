"""The embedded stack in one folder."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from shieldx.dev.file_lock import FileLock
from shieldx.dev.first_to_end import first_to_end
from shieldx.dev.kafka_cluster import KafkaCluster
from shieldx.dev.postgres import PostgresEnded, PostgresServer
from shieldx.dev.stack_error import StackError

_log = logging.getLogger(__name__)

RETRY_S = 5.0


class Stack:
    """Everything that ShieldX needs on one machine, in one folder: one or three Kafka brokers, and optionally Postgres.

    As an async context manager it starts on entry and stops gracefully on exit.
    """

    def __init__(
        self,
        folder: Path,
        *,
        brokers: int | None = None,
        java: Path | None = None,
        cache: Path | None = None,
        port: int | None = None,
        postgres: bool = False,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        """Describe a stack without starting it. The arguments are those of KafkaCluster; `postgres` adds a Postgres."""
        self._lock = FileLock(folder.absolute() / "lock")
        self.kafka = KafkaCluster(folder, brokers=brokers, java=java, cache=cache, port=port, progress=progress)
        self._postgres = PostgresServer(folder, progress=progress) if postgres else None

    @property
    def bootstrap(self) -> str:
        """The brokers' addresses, host:port[,host:port…]. Raises RuntimeError before the first start in the folder."""
        return self.kafka.bootstrap

    @property
    def postgres_dsn(self) -> str | None:
        """The address of Postgres without its password, or None if the stack has no Postgres.

        Raises RuntimeError before the first start in the folder.
        """
        return None if self._postgres is None else self._postgres.dsn

    async def start(self) -> None:
        """Start everything and return when all of it responds.

        Raises StopTheOtherProcess if another stack runs in the folder, and the errors of KafkaCluster.start and
        PostgresServer.start.
        """
        self._lock.acquire()
        try:
            await self.kafka.start()
            if self._postgres is not None:
                await self._postgres.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything gracefully. Does nothing if it is stopped."""
        try:
            await self.kafka.stop()
        finally:
            try:
                if self._postgres is not None:
                    await self._postgres.stop()
            finally:
                self._lock.release()

    async def watch(self) -> None:
        """Watch the stack until Kafka fails, and raise what KafkaCluster.watch raises.

        Postgres is restarted whenever it exits.
        """
        works = [self.kafka.watch()]
        if self._postgres is not None:
            works.append(self._keep(self._postgres))
        await first_to_end(works)

    async def _keep(self, postgres: PostgresServer) -> None:
        """Restart Postgres whenever it exits. Agents that need it wait; the others are not affected."""
        while True:
            try:
                if postgres.pid is not None:
                    await postgres.watch()
            except PostgresEnded as error:
                _log.warning("restarting Postgres: %s", str(error).partition(";")[0])
            try:
                await postgres.start()
            except StackError:
                _log.exception("Postgres failed to start; retrying in %g s", RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
