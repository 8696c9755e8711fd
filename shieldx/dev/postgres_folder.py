"""The folder of one Postgres: the location of its data, address, password and log."""

import contextlib
import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from shieldx.dev.loopback_ports import free_port
from shieldx.dev.unprivileged_user import UnprivilegedUser

NAME = "shieldx"
"""The name of both the superuser and the database."""
_LOG_SIZE_TO_ROTATE_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PostgresFolder:
    """A Postgres server's folder at the absolute path `root`."""

    root: Path

    @property
    def data(self) -> Path:
        """The data folder that initdb creates."""
        return self.root / "data"

    @property
    def unfinished_data(self) -> Path:
        """The data folder while initdb fills it."""
        return self.root / "data.new"

    @property
    def log(self) -> Path:
        """The output of all its processes, newest last."""
        return self.root / "log" / "server.log"

    @property
    def lock(self) -> Path:
        """Locked while a server runs here."""
        return self.root / "lock"

    @property
    def password_file(self) -> Path:
        """Address and password in the format of libpq and asyncpg. Only the owner can read it."""
        return self.root / "passfile"

    @property
    def cluster_name(self) -> str:
        """Identifies the folder in the command lines of the server and its children, which may not show the data."""
        return f"shieldx-{hashlib.sha256(str(self.root).encode()).hexdigest()[:16]}"

    @property
    def port(self) -> int | None:
        """The port of the last start here, or None before the first."""
        try:
            return int((self.root / "port").read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    @property
    def dsn(self) -> str:
        """The server's address. It names the password file instead of the password, so it is safe to show.

        Raises RuntimeError before the first start.
        """
        if self.port is None:
            raise RuntimeError("Postgres has no port before its first start")
        return self.dsn_of(NAME)

    def dsn_of(self, database: str) -> str:
        """The address of another database on the same server."""
        return f"postgresql://{NAME}@127.0.0.1:{self.port}/{database}?passfile={quote(str(self.password_file))}"

    @property
    def major(self) -> int | None:
        """The Postgres version that created the data, or None if there is none."""
        try:
            return int((self.data / "PG_VERSION").read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def prepare(self, port: int | None) -> int:
        """Choose and save the port for the next start, and rotate a long log.

        `port` overrides that of the last start. Raises ChooseAnotherPort if no free one is found.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.is_file() and self.log.stat().st_size > _LOG_SIZE_TO_ROTATE_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        self.log.touch()
        chosen = port or self.port or free_port()
        (self.root / "port").write_text(f"{chosen}\n", encoding="ascii")
        return chosen

    def write_password(self, user: UnprivilegedUser | None) -> Path:
        """Generate a password, save it for clients, and return a file with only the password for initdb.

        The caller deletes that file.
        """
        password = secrets.token_urlsafe(24)
        _write_private(self.password_file, f"127.0.0.1:*:*:{NAME}:{password}\n")
        for_initdb = self.root / "password.new"
        _write_private(for_initdb, f"{password}\n")
        if user is not None:
            user.own(for_initdb)
        return for_initdb

    def new_data(self, user: UnprivilegedUser | None) -> Path:
        """Return an empty folder for initdb; `adopt_data` then moves it into place atomically."""
        shutil.rmtree(self.unfinished_data, ignore_errors=True)
        self.unfinished_data.mkdir(mode=0o700)
        if user is not None:
            user.own(self.unfinished_data)
        return self.unfinished_data

    def adopt_data(self) -> None:
        """Move the data that initdb created into place."""
        self.unfinished_data.rename(self.data)

    def disown_pid(self) -> None:
        """Keep Postgres from mistaking a process that has its old id for itself after a kill.

        Postgres believes that it is already running if a process of its user has the id in its pid file, which is
        frequent in containers; only its parent, this process, is exempt. The file must stay, because it also leads
        Postgres to shared memory that children of the killed server may still use.
        """
        path = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError):
            _, _, rest = path.read_text().partition("\n")
            with path.open("r+") as file:  # written in place: another user owns it
                file.write(f"{os.getpid()}\n{rest}")
                file.truncate()

    def log_tail(self, start_bytes: int, *, lines: int = 20) -> str:
        """Return the last lines of the log written after its first `start_bytes`."""
        with self.log.open("rb") as file:
            file.seek(start_bytes)
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
