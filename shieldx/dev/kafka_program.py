"""The command lines that run Kafka's programs."""

from dataclasses import dataclass
from pathlib import Path

_LOG_SETTINGS = Path(__file__).parent / "log4j2.xml"

BROKER_CLASS = "kafka.Kafka"
STORAGE_CLASS = "kafka.tools.StorageTool"

JVM_FLAGS = (
    "-Xmx1g",
    # Measured on two cores against G1 and the C2 compiler: the broker starts in two thirds of the time and uses about
    # half the CPU time for its first hundred thousand records, and no more than them later.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    # Java must write no file to the system's temporary folder: the file would outlive a killed broker.
    "-XX:+PerfDisableSharedMem",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)

# Java 25 confuses some call adapters in its cache, notices this, and warns at every start.
_AOT_FLAGS = ("-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching")


@dataclass(frozen=True, slots=True)
class KafkaProgram:
    """A Java executable, Kafka's class path, and the AOT cache for the two, if there is one."""

    java: Path
    jars: tuple[Path, ...]
    aot_cache: Path | None = None

    def command(self, main_class: str, *arguments: str, temporary: Path, flags: tuple[str, ...] = ()) -> list[str]:
        """Return the command that runs `main_class`; Java unpacks its native libraries to `temporary`."""
        cache = () if self.aot_cache is None else (f"-XX:AOTCache={self.aot_cache}", *_AOT_FLAGS)
        return [
            str(self.java),
            *JVM_FLAGS,
            f"-Djava.io.tmpdir={temporary}",
            f"-Dlog4j2.configurationFile={_LOG_SETTINGS}",
            *cache,
            *flags,
            "-cp",
            ":".join(map(str, self.jars)),
            main_class,
            *arguments,
        ]
