"""One run of Postgres in its folder, from filling the data folder to the process's exit."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from shieldx.dev.child_process import kill_child, run_child, start_child, stop_child, wait_for_child
from shieldx.dev.loopback_ports import ChooseAnotherPort, is_free
from shieldx.dev.postgres_binaries import PostgresBinaries
from shieldx.dev.postgres_folder import NAME, PostgresFolder
from shieldx.dev.process_family import kill_family, thaw_family
from shieldx.dev.stack_error import StackError
from shieldx.dev.unprivileged_user import RunAsAnotherUser, UnprivilegedUser, is_open_to_all

if TYPE_CHECKING:
    import subprocess

_POLL_S = 0.02
_IN_FOLDER = "/proc/self/cwd"
"""The folder that a process was started in. Its path may lead through folders that its user cannot enter."""

_FIRST_TO_STAY = 16
"""Earlier versions change to their program's folder and cannot return."""


class PostgresDidNotStart(StackError):
    """Postgres exited or did not respond. The message quotes the end of its log and names the file.

    Correct what the log says, usually a port or a full disk.
    """


class PostgresEnded(StackError):
    """Postgres exited although nobody stopped it.

    Restart it. The end of its log gives the cause.
    """


class _StartFailed(Exception):
    """Carries the cause to the place that quotes the log."""


class PostgresProcess:
    """Postgres in `folder`, which the caller has locked. It is started once, and again only after `kill`."""

    def __init__(self, folder: PostgresFolder, binaries: PostgresBinaries, user: UnprivilegedUser | None) -> None:
        self._folder = folder
        self._binaries = binaries
        self._user = user
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, or None if it is not running."""
        return None if self._child is None or self._child.poll() is not None else self._child.pid

    async def start(self, port: int | None, *, timeout_s: float) -> None:
        """Fill the data folder if it is new, start Postgres and return once it responds.

        Raises PostgresDidNotStart, ChooseAnotherPort or RunAsAnotherUser; no process is left running then.
        """
        folder = self._folder
        if self._user is not None and self._binaries.major < _FIRST_TO_STAY and not is_open_to_all(folder.root.parent):
            raise RunAsAnotherUser(
                f"root cannot run Postgres {self._binaries.major} in {folder.root}, which is below a closed "
                f"folder: install {_FIRST_TO_STAY} or later, choose another folder, or run it as another user"
            )
        chosen = folder.prepare(port)
        if not is_free(chosen):
            raise ChooseAnotherPort(f"another process uses Postgres' port {chosen} on 127.0.0.1")
        log_start_bytes = folder.log.stat().st_size
        try:
            async with asyncio.timeout(timeout_s):
                if folder.major is None:
                    await self._fill(timeout_s)
                await self._run(chosen)
        except BaseException as error:
            await self.kill()
            if not isinstance(error, (TimeoutError, _StartFailed)):
                raise
            what = str(error) or f"did not respond within {timeout_s:g} s"
            tail = folder.log_tail(log_start_bytes)
            raise PostgresDidNotStart(f"Postgres {what}; its log {folder.log} ends:\n{tail}") from None

    async def stop(self, *, timeout_s: float) -> None:
        """Stop it and its clients' connections gracefully, and kill it after `timeout_s`."""
        if self._child is not None and self._child.poll() is None:
            thaw_family(self._child.pid)
            # SIGTERM would wait until all clients have disconnected.
            await stop_child(self._child, timeout_s=timeout_s, number=signal.SIGINT)

    async def watch(self) -> None:
        """Wait until Postgres exits unexpectedly.

        Raises:
            PostgresEnded: it exited by itself or was killed from outside. The message quotes the end of its log.
        """
        if self._child is None:
            raise RuntimeError("Postgres is not running")
        status = await wait_for_child(self._child)
        raise PostgresEnded(
            f"Postgres exited with status {status}; its log {self._folder.log} ends:\n{self._folder.log_tail(0)}"
        )

    async def kill(self) -> None:
        """Kill it and its child processes with SIGKILL."""
        if self._child is not None:
            if self._child.poll() is None:
                await kill_family(self._child.pid)
            kill_child(self._child)
            self._child = None

    async def _fill(self, timeout_s: float) -> None:
        folder = self._folder
        data = folder.new_data(self._user)
        password = folder.write_password(self._user)
        command = [
            str(self._binaries.initdb),
            *("-D", self._address_of(data), f"--username={NAME}", "--pwfile=/dev/stdin"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"),
        ]
        try:
            status = await run_child(
                command, folder=data, output=folder.log, timeout_s=timeout_s, user=self._user, given=password
            )
        finally:
            password.unlink()
        if status != 0:
            raise _StartFailed(f"could not fill its data folder (exit status {status})")
        folder.adopt_data()

    async def _run(self, port: int) -> None:
        folder = self._folder
        folder.disown_pid()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "cluster_name": folder.cluster_name,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._binaries.postgres), "-D", self._address_of(folder.data), *options]
        self._child = start_child(command, folder=folder.data, output=folder.log, user=self._user)
        await self._answer(self._child)

    def _address_of(self, data: Path) -> str:
        return str(data) if self._user is None or self._binaries.major < _FIRST_TO_STAY else _IN_FOLDER

    async def _answer(self, child: "subprocess.Popen[bytes]") -> None:
        answer = asyncio.ensure_future(_make_database(self._folder))
        end = asyncio.ensure_future(wait_for_child(child))
        try:
            done, _ = await asyncio.wait({answer, end}, return_when=asyncio.FIRST_COMPLETED)
            if end in done:
                raise _StartFailed(f"exited with status {end.result()} during start-up")
            answer.result()
        finally:
            answer.cancel()
            end.cancel()
            await asyncio.gather(answer, end, return_exceptions=True)


async def _make_database(folder: PostgresFolder) -> None:
    """Wait without a time limit until the server responds, and create our database if it does not exist."""
    while True:
        try:
            connection = await asyncpg.connect(folder.dsn_of("postgres"))
        except (OSError, asyncpg.CannotConnectNowError):
            await asyncio.sleep(_POLL_S)
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise _StartFailed(f"rejects the password in {folder.password_file}: {error}") from None
        else:
            break
    try:
        if await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", NAME) == 0:
            await connection.execute(f"CREATE DATABASE {NAME}")
    finally:
        await connection.close()
