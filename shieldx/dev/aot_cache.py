"""Java's ahead-of-time cache for Kafka, which more than halves a broker's start-up time.

The cache is created once, from a training run of a broker in a temporary folder, and stored next to the jars
it belongs to. Java rejects it for other jars or another Java.
"""

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from shieldx.dev.aot_training import TrainingFailed, record_training_run
from shieldx.dev.broker_folder import BrokerFolder
from shieldx.dev.child_process import run_child
from shieldx.dev.java import Java
from shieldx.dev.kafka_program import BROKER_CLASS, JVM_FLAGS, KafkaProgram
from shieldx.dev.stack_error import StackError

_log = logging.getLogger(__name__)

_CREATE_TIMEOUT_S = 120.0
_UNFINISHED = "unfinished-aot-"


def made_aot_cache(program: KafkaProgram, java: Java) -> Path | None:
    """Return the cache for the program on this Java, or None if it has not been created."""
    path = _cache_path(program, java)
    return path if path.is_file() else None


async def make_aot_cache(program: KafkaProgram, java: Java, progress: Callable[[str], None]) -> Path | None:
    """Create the cache and return it, or return None if Kafka has to run without one.

    A failure is logged as a warning and recorded in a file next to the cache; later calls do not retry. The caller
    must keep other processes out.
    """
    path = _cache_path(program, java)
    failed = path.with_suffix(".failed")
    if not failed.exists():
        progress("preparing Java to start Kafka quickly (once, about 15 s)")
        for abandoned in path.parent.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(abandoned)
        # Next to the jars, so that the last step is a rename within one file system.
        with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=path.parent) as temporary:
            try:
                await _make(program, Path(temporary), path)
            except (StackError, OSError) as error:
                failed.write_text(f"{error}\n", encoding="utf-8")
    if not path.exists():
        _log.warning(
            "Kafka will start slowly: its AOT cache could not be created; see %s, and delete it to retry", failed
        )
        return None
    return path


async def _make(program: KafkaProgram, folder: Path, path: Path) -> None:
    configuration, unfinished, log = folder / "kafka.aotconf", folder / path.name, folder / "create.log"
    await record_training_run(program, BrokerFolder(folder / "kafka"), configuration)
    flags = ("-XX:AOTMode=create", f"-XX:AOTConfiguration={configuration}", f"-XX:AOTCache={unfinished}")
    command = program.command(BROKER_CLASS, temporary=folder, flags=flags)
    status = await run_child(command, folder=folder, output=log, timeout_s=_CREATE_TIMEOUT_S)
    if status != 0 or not unfinished.is_file():
        raise TrainingFailed(f"Java created no cache (exit status {status}):\n{log.read_text(errors='replace')}")
    unfinished.rename(path)


def _cache_path(program: KafkaProgram, java: Java) -> Path:
    key = hashlib.sha256("\n".join([java.release, *JVM_FLAGS]).encode()).hexdigest()[:12]
    return program.jars[0].parent / f"java-{key}.aot"
