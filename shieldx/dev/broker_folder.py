"""The folder of one broker: the location of its data, settings and log, and how it is first filled."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shieldx.dev.kafka_program import BROKER_CLASS, STORAGE_CLASS, KafkaProgram
from shieldx.dev.server_properties import Node, server_properties

_LOG_SIZE_TO_ROTATE_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BrokerFolder:
    """A broker's folder at the absolute path `root`."""

    root: Path

    @property
    def data(self) -> Path:
        """The partitions and the controller's metadata log."""
        return self.root / "data"

    @property
    def settings(self) -> Path:
        """The broker's settings. Only this user can read them, since they may hold a password."""
        return self.root / "server.properties"

    @property
    def log(self) -> Path:
        """The output of the broker's processes, newest last."""
        return self.root / "log" / "server.log"

    @property
    def temporary(self) -> Path:
        """The files that Java unpacks; emptied at each start."""
        return self.root / "tmp"

    @property
    def pid_file(self) -> Path:
        """The process id of the last broker started here."""
        return self.root / "pid"

    @property
    def lock(self) -> Path:
        """Locked while a broker runs here."""
        return self.root / "lock"

    @property
    def is_formatted(self) -> bool:
        """Whether the data folder is ready for a broker."""
        return (self.data / "meta.properties").is_file()

    @property
    def broker_arguments(self) -> tuple[str, str]:
        """The end of the broker's command line: its main class and argument."""
        return BROKER_CLASS, str(self.settings)

    def prepare(self, node: Node, overrides: Mapping[str, str]) -> None:
        """Write the settings, rotate a long log and empty the temporary folder."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.is_file() and self.log.stat().st_size > _LOG_SIZE_TO_ROTATE_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        self.log.touch()
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir()
        _write_privately(self.settings, server_properties(node, overrides))

    def format_command(self, program: KafkaProgram, node: Node, overrides: Mapping[str, str]) -> list[str]:
        """Return the command that fills a new data folder. Call `adopt_formatted` after it."""
        settings = self.root / "format.properties"
        _write_privately(settings, server_properties(node, overrides, data_folder=self._unfinished_data.name))
        shutil.rmtree(self._unfinished_data, ignore_errors=True)
        controllers = (
            f"{number}@127.0.0.1:{member.ports.controller}:{member.directory_id}"
            for number, member in enumerate(node.plan.members, start=1)
        )
        return program.command(
            STORAGE_CLASS,
            *("format", f"--cluster-id={node.plan.cluster_id}", f"--initial-controllers={','.join(controllers)}"),
            *("--config", str(settings)),
            *(() if node.security is None else node.security.format_arguments()),
            temporary=self.temporary,
        )

    def adopt_formatted(self) -> None:
        """Move the newly formatted data folder into place atomically."""
        self._unfinished_data.rename(self.data)

    def log_tail(self, start_bytes: int, *, lines: int = 20) -> str:
        """Return the last lines of the log written after its first `start_bytes`, without stack frames."""
        with self.log.open("rb") as file:
            file.seek(start_bytes)
            text = file.read().decode(errors="replace")
        return "\n".join([line for line in text.splitlines() if not line.startswith("\tat ")][-lines:])

    @property
    def _unfinished_data(self) -> Path:
        return self.root / "data.new"


def _write_privately(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="ascii")
