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

    It listens on 127.0.0.1 only and requires a password, which is in a file that only its owner can read. Its data and
    log are in `folder`/postgres. The port does not change when it restarts in the same folder. If this process is root,
    Postgres runs as `nobody`, since it refuses to run as root; that user needs no access to the folders above the data.
    On Linux the kernel kills Postgres when the thread that called `start` ends.
    """

    def __init__(self, folder: Path, *, port: int | None = None, progress: Callable[[str], None] | None = None) -> None:
        """Describe a server without starting it. `progress` is called with a short description of each slow step."""
        self._folder = PostgresFolder(folder.absolute() / "postgres")
        self._port = port
        self._progress = progress or _log.info
        self._lock = FileLock(self._folder.lock)
        self._process: PostgresProcess | None = None

    @property
    def dsn(self) -> str:
        """The address of the database `shieldx` for libpq and asyncpg. It contains no secret.

        Raises RuntimeError before the first start in the folder.
        """
        return self._folder.dsn

    @property
    def pid(self) -> int | None:
        """The process id, or None if it is not running."""
        return None if self._process is None else self._process.pid

    async def start(self, *, timeout_s: float = 60.0) -> None:
        """Start Postgres and return once it responds. Does nothing if it is already running.

        The first start in a folder fills it, in a second or two. Raises PostgresDidNotStart, StopTheOtherProcess if
        another process runs Postgres in the folder, ChooseAnotherPort, InstallPostgres and RunAsAnotherUser.
        """
        if self.pid is not None:
            return
        await self.kill()  # a server that exited by itself still holds the lock
        self._lock.acquire()
        try:
            user = unprivileged_user()
            binaries = find_postgres(self._folder.major)
            if user is not None:
                binaries = binaries.open_to_all()
            if self._folder.major is None:
                self._progress(f"creating a database for Postgres {binaries.major} (once)")
            await self._end_leftover()
            self._process = PostgresProcess(self._folder, binaries, user)
            await self._process.start(self._port, timeout_s=timeout_s)
        except BaseException:
            await self.kill()
            raise

    async def stop(self, *, timeout_s: float = 10.0) -> None:
        """Stop it gracefully, and kill it after `timeout_s`. Does nothing if it is not running."""
        try:
            if self._process is not None:
                await self._process.stop(timeout_s=timeout_s)
        finally:
            await self.kill()

    async def kill(self) -> None:
        """Kill it with SIGKILL. The next start recovers its data."""
        if self._process is not None:
            await self._process.kill()
            self._process = None
        self._lock.release()

    async def watch(self) -> None:
        """Wait until it exits by itself, then raise PostgresEnded. Raises RuntimeError if it is not running."""
        if self._process is None:
            raise RuntimeError("Postgres is not running")
        await self._process.watch()

    async def freeze(self) -> None:
        """Suspend it and its connection processes with SIGSTOP. It does not respond, but its connections stay open."""
        freeze_family(self._running_pid())

    async def thaw(self) -> None:
        """Resume a suspended server."""
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
            _log.warning("killed %s of Postgres, left running in %s by an earlier process", found, self._folder.root)
