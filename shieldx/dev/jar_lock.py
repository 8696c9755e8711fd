"""The committed list of Kafka's jars and the SHA-256 each one must have."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from shieldx.dev.stack_error import StackError

KAFKA_LOCK = Path(__file__).parent / "kafka-jars.lock"

_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<group>[\w.-]+):(?P<artifact>[\w.-]+):(?P<version>[\w.-]+)", re.ASCII)


class RegenerateTheJarLock(StackError):
    """The lock file cannot be read.

    Rewrite it with `python -m shieldx.dev.jars --lock`.
    """


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One jar by its Maven coordinate, and the SHA-256 it must have (64 lower-case hex digits)."""

    sha256: str
    group: str
    artifact: str
    version: str

    @property
    def coordinate(self) -> str:
        """The Maven coordinate, groupId:artifactId:version."""
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file_name(self) -> str:
        """The jar's file name in a Maven repository."""
        return f"{self.artifact}-{self.version}.jar"


@dataclass(frozen=True, slots=True)
class JarLock:
    """All jars of the class path, in the order of the file."""

    jars: tuple[LockedJar, ...]

    @property
    def digest(self) -> str:
        """Twelve hex digits that change with any coordinate or hash. They name what is built from the jars."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    @property
    def text(self) -> str:
        """The lock file's content."""
        return "".join(f"{jar.sha256}  {jar.coordinate}\n" for jar in self.jars)


def read_jar_lock(path: Path = KAFKA_LOCK) -> JarLock:
    """Read a lock file with one jar per line: `sha256  groupId:artifactId:version`.

    Raises RegenerateTheJarLock if the file is missing or empty, has a malformed line, or lists two jars that would
    have the same file name.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RegenerateTheJarLock(f"{path} cannot be read: {error}") from error
    jars = tuple(_locked_jar(path, number, line) for number, line in enumerate(lines, start=1))
    if not jars:
        raise RegenerateTheJarLock(f"{path} lists no jars")
    if len({jar.file_name for jar in jars}) != len(jars):
        raise RegenerateTheJarLock(f"{path} lists two jars with the same file name")
    return JarLock(jars)


def _locked_jar(path: Path, number: int, line: str) -> LockedJar:
    match = _LINE.fullmatch(line)
    if match is None:
        raise RegenerateTheJarLock(
            f"{path}, line {number}: expected `sha256  groupId:artifactId:version`, found {line!r}"
        )
    return LockedJar(**match.groupdict())
