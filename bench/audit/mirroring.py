"""Measures how fast the log is mirrored to Postgres, compared with a bare COPY of the same rows."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

import asyncpg

from bench.throughput import STALL_S, Stalled, Throughput
from shieldx.domains.audit.projections import COLUMNS, KEY, TABLE, rows
from shieldx.domains.audit.tables import LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

POLL_S = 0.05
_COUNT = f"SELECT count(*) FROM {TABLE}"  # noqa: S608 - a constant
_MOVED = "SELECT coalesce(sum(next_offset), 0)::bigint FROM shieldx.positions WHERE sink = 'audit-mirror'"


async def mirror_rate(dsn: str, entries: int, check: Callable[[], None]) -> Throughput:
    """Wait until the mirror has `entries` rows. `check` raises if the mirror's program has exited.

    Raises:
        Stalled: No rows arrive.
    """
    connection = await asyncpg.connect(dsn)
    try:
        while not await connection.fetchval(_MOVED):
            check()
            await asyncio.sleep(POLL_S)
        first, first_s = await connection.fetchval(_COUNT), perf_counter()
        moved, moved_s = 0, first_s
        while True:
            now, now_s = await connection.fetchval(_MOVED), perf_counter()
            if now != moved:
                moved, moved_s = now, now_s
            elif await connection.fetchval(_COUNT) == entries:
                return Throughput(entries - first, moved_s - first_s)
            elif now_s - moved_s > STALL_S:
                raise Stalled(f"no row came for {STALL_S:g} s")
            check()
            await asyncio.sleep(POLL_S)
    finally:
        await connection.close()


async def copy_rate(dsn: str, records: Iterable[tuple[int, bytes, bytes]]) -> float:
    """Rows per second of one COPY of the same prepared rows into a table without an index."""
    made = [
        (*key, *columns)
        for partition, key_bytes, value in records
        for _, key, columns in rows(LOG, partition, 0, key_bytes, value)
    ]
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE TABLE bare (LIKE {TABLE})")
        began_s = perf_counter()
        await connection.copy_records_to_table("bare", columns=[*KEY, *COLUMNS], records=made)
        return len(made) / (perf_counter() - began_s)
    finally:
        await connection.execute("DROP TABLE IF EXISTS bare")
        await connection.close()
