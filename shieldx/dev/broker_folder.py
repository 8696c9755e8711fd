"""The folder of one broker: where its data, settings and log are, and how it is first filled."""

import base64
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shieldx.dev.kafka_program import BROKER_CLASS, STORAGE_CLASS, KafkaProgram
from shieldx.dev.loopback_ports import free_port, is_free
from shieldx.dev.server_properties import Ports, ports_in, server_properties

_LOG_SIZE_TO_ROTATE_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BrokerFolder:
    """The folder `root`, absolute."""

    root: Path

    @property
    def data(self) -> Path:
        """The partitions, and the controller's own log."""
        return self.root / "data"

    @property
    def settings(self) -> Path:
        """The broker's settings; also where its ports are kept."""
        return self.root / "server.properties"

    @property
    def log(self) -> Path:
        """All that the broker's processes print, the newest last."""
        return self.root / "log" / "server.log"

    @property
    def temporary(self) -> Path:
        """What Java unpacks; emptied at each start."""
        return self.root / "tmp"

    @property
    def pid_file(self) -> Path:
        """The process id of the last broker started here."""
        return self.root / "pid"

    @property
    def lock(self) -> Path:
        """Locked as long as a broker runs here."""
        return self.root / "lock"

    @property
    def is_formatted(self) -> bool:
        """Whether the data folder is ready for a broker."""
        return (self.data / "meta.properties").is_file()

    @property
    def broker_arguments(self) -> tuple[str, str]:
        """The main class of the broker and its argument: the end of its command line."""
        return BROKER_CLASS, str(self.settings)

    def kept_ports(self) -> Ports | None:
        """Return the ports of the last start here, or None before the first."""
        try:
            return ports_in(self.settings.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    @property
    def bootstrap(self) -> str:
        """The broker's address, host:port. Raises RuntimeError before the first start."""
        kept = self.kept_ports()
        if kept is None:
            raise RuntimeError("the broker's port is chosen at its first start")
        return f"127.0.0.1:{kept.broker}"

    def prepare(self, ports: Ports, overrides: Mapping[str, str]) -> None:
        """Write the settings, rotate a long log and empty the temporary folder."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.is_file() and self.log.stat().st_size > _LOG_SIZE_TO_ROTATE_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        self.log.touch()
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir()
        self.settings.write_text(server_properties(ports, overrides), encoding="ascii")

    def choose_ports(self, port: int | None) -> Ports:
        """Return the ports for the next start: those of the last one, or else free ones.

        `port`, when given, is the broker's. Raises ChooseAnotherPort if no free port is found.
        """
        kept = self.kept_ports()
        broker = port or (kept.broker if kept else free_port())
        if kept is not None and is_free(kept.controller):
            return Ports(broker, kept.controller)
        return Ports(broker, free_port())

    def format_command(self, program: KafkaProgram, ports: Ports, overrides: Mapping[str, str]) -> list[str]:
        """Return the command that fills a new data folder, to be followed by `adopt_formatted`."""
        settings = self.root / "format.properties"
        text = server_properties(ports, overrides, data_folder=self._unfinished_data.name)
        settings.write_text(text, encoding="ascii")
        shutil.rmtree(self._unfinished_data, ignore_errors=True)
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        return program.command(
            STORAGE_CLASS,
            *("format", "--standalone", f"--cluster-id={cluster_id}", "--config", str(settings)),
            temporary=self.temporary,
        )

    def adopt_formatted(self) -> None:
        """Put the newly formatted data folder in its place: all of it or, after a kill, none."""
        self._unfinished_data.rename(self.data)

    def cluster_id(self) -> str | None:
        """Return the cluster's id, chosen when the folder was formatted; None if it cannot be found."""
        for line in (self.data / "meta.properties").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition("=")
            if name == "cluster.id":
                return value
        return None

    def log_tail(self, start_bytes: int, *, lines: int = 20) -> str:
        """Return the last lines of the log written after its first `start_bytes`, without stack frames."""
        with self.log.open("rb") as file:
            file.seek(start_bytes)
            text = file.read().decode(errors="replace")
        return "\n".join([line for line in text.splitlines() if not line.startswith("\tat ")][-lines:])

    @property
    def _unfinished_data(self) -> Path:
        return self.root / "data.new"
