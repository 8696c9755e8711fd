"""The contestants, and how each processes the same backlog."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import asyncpg
import msgspec

from bench.program import Program
from bench.reading import Reader
from bench.throughput import Throughput, measure
from bench.verdict import WrongResults, check_figures, check_results
from shieldx.dev.postgres import PostgresServer
from shieldx.domains.credits.tables import COMMANDS, RESULTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.arena import Arena
    from bench.verdict import Expected

FAUST_STORE = "memory://"
"""faust's RocksDB store took half as much CPU time again per command."""
LONGEST_S = 1800.0
"""The timeout of a program that measures itself."""


class Contestant(NamedTuple):
    """One way of doing the job."""

    name: str
    about: str
    run: Callable[[Arena, Expected], Awaitable[Throughput]]
    wanted: float | None = None
    """The ledger should be at least this many times as fast."""


class _SelfMeasured(msgspec.Struct, frozen=True):
    commands: int
    seconds: float


def ledger(workers: int) -> Contestant:
    """ShieldX with all its features."""

    async def run(arena: Arena, expected: Expected) -> Throughput:
        programs = [arena.worker(f"worker-{number}") for number in range(workers)]
        return await _on_kafka(arena, expected, RESULTS, programs)

    about = f"exactly once; all of the ledger: results, audit, tables, outcomes; {workers} worker process(es)"
    return Contestant("shieldx", about, run)


def quix() -> Contestant:
    """Quix Streams."""
    results = "bench.quix.results"

    async def run(arena: Arena, expected: Expected) -> Throughput:
        arguments = [arena.platform.bootstrap, COMMANDS, results, "bench-quix"]
        await _create(arena, results)
        return await _on_kafka(
            arena, expected, results, [Program("bench.peers.quix_program", arguments, arena.folder / "quix")]
        )

    return Contestant("quix", "exactly once, commit interval 100 ms; plain job in its state", run, wanted=2)


def faust() -> Contestant:
    """faust-streaming."""
    results = "bench.faust.results"

    async def run(arena: Arena, expected: Expected) -> Throughput:
        arguments = [arena.platform.bootstrap, COMMANDS, results, "bench-faust", str(arena.partitions), FAUST_STORE]
        await _create(arena, results)
        return await _on_kafka(
            arena, expected, results, [Program("bench.peers.faust_program", arguments, arena.folder / "faust")]
        )

    return Contestant("faust", f"at least once; plain job in two tables, {FAUST_STORE}", run, wanted=15)


class Form(StrEnum):
    """How a command is executed on Postgres."""

    STATEMENTS = "statements"
    STATEMENT = "statement"


def postgres_one_by_one(form: Form) -> Contestant:
    """Postgres with asyncpg, without Kafka, one command per transaction."""
    told = "three statements" if form is Form.STATEMENTS else "one statement"
    about = f"one command a transaction of {told}, 32 connections, fsync on; plain job"
    return Contestant(f"postgres-{form}", about, partial(_on_postgres, form=form, batch=1), wanted=10)


def postgres_in_batches(batch: int) -> Contestant:
    """The same with several commands per transaction."""
    about = f"as above, one statement a command, {batch} commands a transaction; a note"
    return Contestant(f"postgres-{batch}", about, partial(_on_postgres, form=Form.STATEMENT, batch=batch))


async def _on_postgres(arena: Arena, expected: Expected, form: Form, batch: int) -> Throughput:
    folder = arena.folder / f"postgres-{form}-{batch}"
    folder.mkdir()
    server = PostgresServer(folder)
    await server.start()
    try:
        arguments = [arena.platform.bootstrap, COMMANDS, server.dsn, str(expected.results), form, str(batch)]
        async with Program("bench.peers.postgres_program", arguments, folder / "program") as program:
            seen = msgspec.json.decode(await program.finish(LONGEST_S), type=_SelfMeasured)
        await _check_postgres(server.dsn, expected)
    finally:
        await server.stop()
    return Throughput(seen.commands, seen.seconds)


async def _on_kafka(arena: Arena, expected: Expected, topic: str, programs: list[Program]) -> Throughput:
    with Reader(arena.platform.bootstrap, topic) as reader:
        async with AsyncExitStack() as running:
            for program in programs:
                await running.enter_async_context(program)

            def check() -> None:
                for program in programs:
                    program.check()

            seen = await measure(reader, expected.results, check)
        await asyncio.to_thread(lambda: check_results(reader.values(), expected))
    return seen


async def _create(arena: Arena, topic: str) -> None:
    like = arena.platform.topics[RESULTS]
    created = await arena.platform.topic_admin.create({topic: like}, partitions=arena.partitions, replication=1)
    if not created:
        raise WrongResults(f"{topic} holds the results of an earlier round")


async def _check_postgres(dsn: str, expected: Expected) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        results = await connection.fetchval("SELECT count(*) FROM results WHERE code = 'ok'")
        keys = await connection.fetchval("SELECT count(*) FROM outcomes")
        balances = await connection.fetchval("SELECT sum(balance)::bigint FROM accounts")
        fsync = await connection.fetchval("SHOW fsync")
    finally:
        await connection.close()
    if fsync != "on":
        raise WrongResults("Postgres ran without fsync, and would lose what it has answered")
    check_figures(results, keys, balances, expected)
