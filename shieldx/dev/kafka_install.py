"""What a broker needs before it can start: Kafka's jars, a Java, and an AOT cache for the two."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

from shieldx.dev.aot_cache import made_aot_cache, make_aot_cache
from shieldx.dev.file_lock import FileLock, StopTheOtherProcess
from shieldx.dev.jar_lock import JarLock, read_jar_lock
from shieldx.dev.jars import download_jars, installed_jars
from shieldx.dev.java import Java, find_java
from shieldx.dev.kafka_program import KafkaProgram

_POLL_S = 0.05


async def install_kafka(cache: Path, java: Path | None, progress: Callable[[str], None]) -> KafkaProgram:
    """Return the program that runs Kafka. Downloads or builds in `cache` what is missing.

    The first call takes as long as the download, plus about 15 s for the AOT cache. Later calls return at once.
    Raises the errors of `find_java`, `read_jar_lock`, `installed_jars` and `download_jars`.
    """
    lock, runtime = read_jar_lock(), find_java(java)
    program = await _installed(lock, runtime, cache)
    if program is not None:
        return program
    async with _alone(cache):
        # Another process may have installed it while this one waited for the lock.
        jars = await asyncio.to_thread(installed_jars, lock, cache) or await _download(lock, cache, progress)
        program = KafkaProgram(runtime.executable, tuple(jars))
        if not runtime.makes_aot_caches:
            return program
        made = made_aot_cache(program, runtime) or await make_aot_cache(program, runtime, progress)
        return replace(program, aot_cache=made)


async def _installed(lock: JarLock, runtime: Java, cache: Path) -> KafkaProgram | None:
    jars = await asyncio.to_thread(installed_jars, lock, cache)
    if jars is None:
        return None
    program = KafkaProgram(runtime.executable, tuple(jars))
    if not runtime.makes_aot_caches:
        return program
    made = made_aot_cache(program, runtime)
    return None if made is None else replace(program, aot_cache=made)


@asynccontextmanager
async def _alone(cache: Path) -> AsyncIterator[None]:
    lock = FileLock(cache / "lock")
    while True:
        try:
            lock.acquire()
            break
        except StopTheOtherProcess:  # it installs the same; blocking a thread here would block Ctrl-C
            await asyncio.sleep(_POLL_S)
    try:
        yield
    finally:
        lock.release()


async def _download(lock: JarLock, cache: Path, progress: Callable[[str], None]) -> list[Path]:
    stop = Event()
    try:
        return await asyncio.to_thread(download_jars, lock, cache, progress=progress, stop=stop)
    finally:
        stop.set()
