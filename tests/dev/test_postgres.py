"""Postgres through its life: started, stopped, killed and frozen, with its data and address kept."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from shieldx.dev.file_lock import StopTheOtherProcess
from shieldx.dev.loopback_ports import ChooseAnotherPort
from shieldx.dev.postgres import PostgresDidNotStart, PostgresEnded, PostgresServer
from shieldx.dev.postgres_binaries import InstallPostgres, find_postgres
from shieldx.dev.process_family import children_of, lives
from shieldx.dev.unprivileged_user import copy_open_to_all, is_open_to_all
from tests import programs
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

RUNS = (
    "import asyncio, pathlib, sys\n"
    "from shieldx.dev.postgres import PostgresServer\n"
    "async def main():\n"
    "    server = PostgresServer(pathlib.Path(sys.argv[1]))\n"
    "    await server.start()\n"
    "    print(server.pid, flush=True)\n"
    "    await asyncio.Event().wait()\n"
    "asyncio.run(main())\n"
)
"""A program that runs a server until it is killed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("postgres")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[PostgresServer]:
    server = PostgresServer(folder)
    await server.start()
    yield server
    await server.stop()


async def add(server: PostgresServer, number: int) -> list[int]:
    """Add a number to a table, and return all that is in it."""
    connection = await asyncpg.connect(server.dsn)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS numbers (number int)")
        await connection.execute("INSERT INTO numbers VALUES ($1)", number)
        return [row["number"] for row in await connection.fetch("SELECT number FROM numbers ORDER BY number")]
    finally:
        await connection.execute("DELETE FROM numbers WHERE number < $1", number)
        await connection.close()


async def test_an_orderly_restart_keeps_data_and_address(server: PostgresServer) -> None:
    await add(server, 1)
    dsn, pid = server.dsn, server.pid
    await server.stop()
    assert server.pid is None
    await server.start()
    assert (server.dsn, server.pid == pid) == (dsn, False)
    assert await add(server, 2) == [1, 2]


async def test_a_killed_server_recovers_its_data(server: PostgresServer) -> None:
    await add(server, 3)
    await server.kill()
    await server.start()
    assert await add(server, 4) == [3, 4]


async def test_a_frozen_server_killed_from_outside_is_noticed_and_leaves_nothing(
    server: PostgresServer,
) -> None:
    await add(server, 5)
    assert server.pid is not None
    children = children_of(server.pid)
    await server.freeze()
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(PostgresEnded, match="exited with status -9"):
        await server.watch()
    await server.start()
    assert await add(server, 6) == [5, 6]
    assert children
    assert not any(lives(pid) for pid in children)


async def test_a_reused_process_id_does_not_prevent_a_start(server: PostgresServer, folder: Path) -> None:
    await server.kill()
    owner = (folder / "postgres" / "data").stat()
    other = await asyncio.create_subprocess_exec(  # noqa: TID251 - as another user, who may not read our Python
        "/bin/sleep", "60", user=owner.st_uid or None
    )
    file = folder / "postgres" / "data" / "postmaster.pid"
    file.write_text(f"{other.pid}\n{file.read_text().partition(chr(10))[2]}")
    await server.start()
    other.kill()
    await other.wait()
    assert await add(server, 7)


async def test_a_frozen_server_answers_nothing_until_thawed_on_open_connections_too(server: PostgresServer) -> None:
    connection = await asyncpg.connect(server.dsn)
    await server.freeze()
    asking = asyncio.create_task(connection.fetchval("SELECT 1"))
    done, _ = await asyncio.wait({asking}, timeout=0.3)
    await server.thaw()
    assert not done
    assert await asking == 1
    await connection.close()


async def test_stopping_does_not_wait_for_clients(server: PostgresServer) -> None:
    connection = await asyncpg.connect(server.dsn)
    await server.stop(timeout_s=30)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT 1")
    await server.start()
    assert "received fast shutdown request" in server._folder.log.read_text()  # noqa: SLF001 - not killed


async def test_the_address_shows_no_password_and_nobody_else_may_read_it(server: PostgresServer) -> None:
    password_file = server._folder.password_file  # noqa: SLF001 - what the address names
    password = password_file.read_text().strip().rpartition(":")[2]
    assert len(password) > 20
    assert password not in server.dsn
    assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.dsn.partition("?")[0], password="guessed")  # noqa: S106 - a wrong one
    assert not list(password_file.parent.glob("*.new"))


async def test_a_second_server_in_the_folder_is_refused(server: PostgresServer, folder: Path) -> None:
    with pytest.raises(StopTheOtherProcess, match=f"process {os.getpid()}"):
        await PostgresServer(folder).start()
    assert server.pid is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user")
async def test_root_runs_it_as_a_user_that_cannot_enter_the_parent_folder(server: PostgresServer, folder: Path) -> None:
    await server.stop()
    os.chmod(folder, 0o700)  # noqa: PTH101 - as above
    await server.start()
    assert os.stat(f"/proc/{server.pid}").st_uid != 0  # noqa: PTH116 - a look at /proc blocks nobody
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, "folders above are left alone"  # noqa: PTH116 - as above


async def test_a_setting_that_is_refused_is_quoted_from_its_log(server: PostgresServer, folder: Path) -> None:
    await server.stop()
    settings = folder / "postgres" / "data" / "postgresql.conf"
    before = settings.read_text()
    settings.write_text(f"{before}\nshared_buffers = 'plenty'\n")
    with pytest.raises(PostgresDidNotStart, match="invalid value for parameter") as refused:
        await server.start()
    assert str(folder / "postgres" / "log" / "server.log") in str(refused.value)
    assert server.pid is None
    settings.write_text(before)
    await server.start()


async def test_a_taken_port_is_named(tmp_path: Path, server: PostgresServer) -> None:
    port = server._folder.port  # noqa: SLF001 - one that is taken
    with pytest.raises(ChooseAnotherPort, match=f"port {port} on 127.0.0.1"):
        await PostgresServer(tmp_path, port=port).start()


async def test_there_is_no_address_before_the_first_start(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="first start"):
        _ = PostgresServer(tmp_path).dsn


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
async def test_it_dies_with_the_process_that_started_it_and_starts_again(tmp_path: Path) -> None:
    parent = await programs.start_awaitable([sys.executable, "-c", RUNS, tmp_path], stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await until(lambda: not lives(pid))
    server = PostgresServer(tmp_path)
    await server.start()
    assert await add(server, 1) == [1]
    await server.stop()


async def test_programs_below_a_closed_folder_are_copied_to_a_readable_one(tmp_path: Path) -> None:
    source = tmp_path / "closed" / "programs"
    (source / "bin").mkdir(parents=True)
    program = source / "bin" / "postgres"
    program.write_text("program")
    program.chmod(0o700)
    source.parent.chmod(0o700)
    assert not is_open_to_all(source)
    target = tmp_path / "copy"
    copy_open_to_all({"programs": source}, target)
    copied = target / "programs" / "bin" / "postgres"
    assert (copied.read_text(), stat.S_IMODE(copied.stat().st_mode)) == ("program", 0o755)
    assert stat.S_IMODE(program.stat().st_mode) == 0o700
    copy_open_to_all({"programs": source}, target)
    assert sorted(os.listdir(tmp_path)) == ["closed", "copy"]  # noqa: PTH208 - a listing blocks nobody


async def test_data_of_a_version_that_is_not_installed_are_refused() -> None:
    with pytest.raises(InstallPostgres, match="Postgres 9 created the data, but only"):
        find_postgres(9)
