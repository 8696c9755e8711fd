"""Workers of shadow evaluation, each in its own process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bench.program import Program
from shieldx.bootstrap.worker_environment import worker_environment
from shieldx.keyring.file import make_keyring

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.arena import Arena


@asynccontextmanager
async def planner(arena: Arena, *, price_per_1000: int = 0) -> AsyncIterator[Program]:
    """The worker of `shadow`, and also that of `credits` if evaluations have a price."""
    agents = ("credits", "shadow") if price_per_1000 else ("shadow",)
    given = worker_environment(arena.settings, arena.platform.bootstrap)
    given["SHIELDX_SHADOW_PRICE_PER_1000"] = str(price_per_1000)
    keyring = arena.folder / "platform-keyring.json"
    make_keyring(keyring)
    given["SHIELDX_PLATFORM_KEYRING_FILE"] = str(keyring.absolute())
    folder = arena.folder / f"planner-{price_per_1000}"
    async with Program("shieldx", ["worker", *agents], folder, given) as program:
        yield program


@asynccontextmanager
async def evaluators(arena: Arena, processes: int) -> AsyncIterator[Program]:
    """The worker of `shadow-evaluators`."""
    given = {"SHIELDX_SHADOW_PROCESSES": str(processes)}
    async with arena.worker("evaluators", given, agent="shadow-evaluators") as program:
        yield program
