"""The folder of one Postgres: where its data, address, password and log are."""

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
"""The superuser, and the database."""
_LOG_SIZE_TO_ROTATE_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PostgresFolder:
    """The folder `root`, absolute."""

    root: Path

    @property
    def data(self) -> Path:
        """What initdb makes and Postgres keeps."""
        return self.root / "data"

    @property
    def unfinished_data(self) -> Path:
        """What becomes the data folder when all of it is there."""
        return self.root / "data.new"

    @property
    def log(self) -> Path:
        """All that its processes print, the newest last."""
        return self.root / "log" / "server.log"

    @property
    def lock(self) -> Path:
        """Locked as long as a server runs here."""
        return self.root / "lock"

    @property
    def password_file(self) -> Path:
        """Address and password as libpq and asyncpg read them; nobody else may read it."""
        return self.root / "passfile"

    @property
    def cluster_name(self) -> str:
        """Names the folder in the command lines of the server and its children: their data folder may not be there."""
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
        """The server's address. It names the file with the password, so that it may be shown to everybody.

        Raises RuntimeError before the first start.
        """
        if self.port is None:
            raise RuntimeError("the port of Postgres is chosen at its first start")
        return self.dsn_of(NAME)

    def dsn_of(self, database: str) -> str:
        """The address of another database of the same server."""
        return f"postgresql://{NAME}@127.0.0.1:{self.port}/{database}?passfile={quote(str(self.password_file))}"

    @property
    def major(self) -> int | None:
        """The version of Postgres that made the data, or None where there are none."""
        try:
            return int((self.data / "PG_VERSION").read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def prepare(self, port: int | None) -> int:
        """Choose and keep the port for the next start, and rotate a long log.

        `port` wins over that of the last start. Raises ChooseAnotherPort if no free one is found.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.is_file() and self.log.stat().st_size > _LOG_SIZE_TO_ROTATE_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        self.log.touch()
        chosen = port or self.port or free_port()
        (self.root / "port").write_text(f"{chosen}\n", encoding="ascii")
        return chosen

    def write_password(self, user: UnprivilegedUser | None) -> Path:
        """Choose a password, keep it for clients, and return a file with nothing else, which initdb can read.

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
        """Return an empty folder for initdb; `adopt_data` puts it in its place: all of it or, after a kill, none."""
        shutil.rmtree(self.unfinished_data, ignore_errors=True)
        self.unfinished_data.mkdir(mode=0o700)
        if user is not None:
            user.own(self.unfinished_data)
        return self.unfinished_data

    def adopt_data(self) -> None:
        """Put what initdb has made in its place."""
        self.unfinished_data.rename(self.data)

    def disown_pid(self) -> None:
        """Have Postgres not mistake a process that was given its former id for itself, after a kill.

        It believes that it runs already if any process of its user has the id in its own pid file: frequent in
        containers. Its parent, which we are, is excepted. The file must stay: it also leads Postgres to memory that
        children of the killed one may still use.
        """
        path = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError):
            _, _, rest = path.read_text().partition("\n")
            with path.open("r+") as file:  # in place: its owner is another user
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
