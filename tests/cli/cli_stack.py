"""The command `shieldx` as processes, each with the same stack folder."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import IO, TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from shieldx.engine.tasks.partitioner import home_partition
from tests import programs

if TYPE_CHECKING:
    from collections.abc import Iterator

SHIELDX = Path(sys.executable).parent / "shieldx"
PARTITIONS = 2
TIMEOUT_S = 60


class CliStack:
    """A stack folder, and the command called with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        given = {name: value for name, value in os.environ.items() if not name.startswith("SHIELDX_")}
        if "SHIELDX_JAVA" in os.environ:
            given["SHIELDX_JAVA"] = os.environ["SHIELDX_JAVA"]
        self.environment = given | {"SHIELDX_STACK_FOLDER": str(folder), "NO_COLOR": "1"}

    def with_settings(self, **settings: str) -> CliStack:
        """The same stack for a caller with other settings."""
        other = CliStack(self.folder)
        other.environment = self.environment | settings
        return other

    @property
    def log(self) -> Path:
        """What a stack that is `logged` writes to stderr."""
        return self.folder.with_suffix(".log")

    def start(self, *arguments: str, stderr: int | IO[str] = subprocess.PIPE) -> programs.Program:
        return programs.start(
            [SHIELDX, *arguments],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )

    def call(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return programs.run([SHIELDX, *arguments], env=self.environment, input=given, timeout=TIMEOUT_S)

    def read(self, *arguments: str, given: str = "") -> list[dict[str, Any]]:
        done = self.call(*arguments, given=given)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def up(self, *arguments: str, logged: bool = False) -> programs.Program:
        """Start a stack and return once it says that it is up; what it writes to stderr goes to `log` if asked."""
        if logged:
            with self.log.open("w") as log:
                process = self.start("up", *arguments, stderr=log)
        else:
            process = self.start("up", *arguments)
        assert process.stdout is not None
        for line in process.stdout:
            if "stops it" in line:
                return process
        raise AssertionError(self.log.read_text() if process.stderr is None else process.stderr.read())

    @contextmanager
    def running(self, *arguments: str) -> Iterator[programs.Program]:
        """A stack that is up within the block, and ends in order behind it."""
        process = self.up(*arguments)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, errors

    def until_applied(self, tenant: str) -> None:
        """Return once Postgres has all that was committed for a tenant until now."""
        deadline_s = monotonic() + TIMEOUT_S
        while monotonic() < deadline_s:
            done = self.call("balance", tenant, "--json")
            if done.returncode == 0 and json.loads(done.stdout)["behind"]["records"] == 0:
                return
        raise AssertionError(done.stderr or done.stdout)

    def status_without_lag(self) -> dict[str, Any]:
        """The status once all that was sent is committed, and the groups were told."""
        deadline_s = monotonic() + TIMEOUT_S
        while monotonic() < deadline_s:
            (status,) = self.read("status", "--json")
            if not any(agent["lag"] for agent in status["agents"]):
                return status
        raise AssertionError(self.call("status").stdout)

    @property
    def stack(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "stack.json").read_text())
        return content

    def append(self, value: bytes, key: bytes, headers: list[tuple[str, bytes]], tenant: str) -> None:
        """Write a record as it is to the home partition of a tenant."""

        async def write() -> None:
            async with AIOKafkaProducer(bootstrap_servers=self.stack["bootstrap"]) as producer:
                home = home_partition(tenant, PARTITIONS)
                await producer.send_and_wait("credits.commands", value, key=key, partition=home, headers=headers)

        asyncio.run(write())

    def delete_records_before(self, partition: int, offset: int) -> None:
        """Do to the topic of commands what retention does."""

        async def delete() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.stack["bootstrap"])
            await admin.start()
            try:
                place = TopicPartition("credits.commands", partition)
                await admin.delete_records({place: RecordsToDelete(before_offset=offset)})
            finally:
                await admin.close()

        asyncio.run(delete())
