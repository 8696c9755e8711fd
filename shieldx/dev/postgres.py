"""One Postgres server, as a child process."""

import logging
from collections.abc import Callable
from pathlib import Path

from shieldx.dev.file_lock import FileLock
from shieldx.dev.postgres_binaries import find_postgres
from shieldx.dev.postgres_folder import PostgresFolder
from shieldx.dev.postgres_process import PostgresDidNotStart, PostgresEnded, PostgresProcess
from shieldx.dev.process_family import freeze_family, kill_orphans, thaw_family
from shieldx.dev.unprivileged_user import unprivileged_user

__all__ = ["PostgresDidNotStart", "PostgresEnded", "PostgresServer"]

_log = logging.getLogger(__name__)


class PostgresServer:
    """One Postgres server, as a child process.

    It listens on 127.0.0.1 only, and asks for a password that is in a file which only its owner may read. Its data and
    log are in `folder`/postgres, and its port stays the same over restarts there. Where we are root it runs as
    `nobody`, since it refuses to run as root; folders above its data need not be open to that user. On Linux it is
    killed when the thread that called `start` ends.
    """

    def __init__(self, folder: Path, *, port: int | None = None, progress: Callable[[str], None] | None = None) -> None:
        """Describe a server; nothing happens yet. `progress` is told, in a few words, of steps that take seconds."""
        self._folder = PostgresFolder(folder.absolute() / "postgres")
        self._port = port
        self._progress = progress or _log.info
        self._lock = FileLock(self._folder.lock)
        self._process: PostgresProcess | None = None

    @property
    def dsn(self) -> str:
        """The address of the database `shieldx`, as libpq and asyncpg read it; it holds no secret.

        Raises RuntimeError before the folder's first start.
        """
        return self._folder.dsn

    @property
    def pid(self) -> int | None:
        """The process id, or None when it is not running."""
        return None if self._process is None else self._process.pid

    async def start(self, *, timeout_s: float = 60.0) -> None:
        """Start Postgres and return once it answers; without effect when it is running.

        The first start in a folder fills it, in a second or two. Raises PostgresDidNotStart, StopTheOtherProcess when
        another process runs one in the folder, ChooseAnotherPort, InstallPostgres and RunAsAnotherUser.
        """
        if self.pid is not None:
            return
        await self.kill()  # one that ended by itself still has the lock
        self._lock.acquire()
        try:
            user = unprivileged_user()
            binaries = find_postgres(self._folder.major)
            if user is not None:
                binaries = binaries.open_to_all()
            if self._folder.major is None:
                self._progress(f"making a database for Postgres {binaries.major}, once")
            await self._end_leftover()
            self._process = PostgresProcess(self._folder, binaries, user)
            await self._process.start(self._port, timeout_s=timeout_s)
        except BaseException:
            await self.kill()
            raise

    async def stop(self, *, timeout_s: float = 10.0) -> None:
        """Stop it in order, or kill it after `timeout_s`; without effect when it is not running."""
        try:
            if self._process is not None:
                await self._process.stop(timeout_s=timeout_s)
        finally:
            await self.kill()

    async def kill(self) -> None:
        """Kill it with SIGKILL; a later start recovers its data."""
        if self._process is not None:
            await self._process.kill()
            self._process = None
        self._lock.release()

    async def watch(self) -> None:
        """Wait until it ends by itself. Raises PostgresEnded then, and RuntimeError when it is not running."""
        if self._process is None:
            raise RuntimeError("Postgres is not running")
        await self._process.watch()

    async def freeze(self) -> None:
        """Stop its time with SIGSTOP, that of every connection too: it answers nothing, but keeps what is open."""
        freeze_family(self._running_pid())

    async def thaw(self) -> None:
        """Let a frozen one go on."""
        thaw_family(self._running_pid())

    def _running_pid(self) -> int:
        pid = self.pid
        if pid is None:
            raise RuntimeError("Postgres is not running")
        return pid

    async def _end_leftover(self) -> None:
        name = self._folder.cluster_name
        server, child = f"cluster_name={name}", f"postgres: {name}: "
        found = await kill_orphans(lambda line: line.endswith(server) or line.startswith(child))
        if found:
            _log.warning("killed %s of Postgres, left over in %s", found, self._folder.root)
