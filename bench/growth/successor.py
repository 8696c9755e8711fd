"""A worker that is killed, and its successor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bench.verdict import WrongResults
from shieldx.client import Client
from shieldx.domains.credits.messages import Code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.arena import Arena
    from bench.program import Program
    from shieldx.domains.credits.messages import Command, Result

STATIC = {"SHIELDX_GROUP_INSTANCE_ID": "bench"}
"""The successor takes over at once. Otherwise SHIELDX_SESSION_TIMEOUT_MS would be added."""
LONGEST_S = 3600.0
ASK_EVERY_S = 0.2
"""How often to check whether the program has exited while waiting for its answer."""


def worker(arena: Arena, name: str, environment: Mapping[str, str]) -> Program:
    """A worker that a successor can replace."""
    return arena.worker(name, STATIC | dict(environment))


def patient_client(arena: Arena) -> Client:
    """A client that never resends: during a long restore, resending would produce more results than commands."""
    return Client(arena.platform.connection, retry_after_s=LONGEST_S)


async def first_answer(client: Client, program: Program, command: Command) -> tuple[Result, float]:
    """Send a command. Returns its result, and the seconds until it arrived.

    Raises:
        WrongResults: The command was refused.
        ReadItsLog: The program exited.
    """
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    answer = asyncio.create_task(client.send(command, timeout_s=LONGEST_S))
    try:
        while not (await asyncio.wait([answer], timeout=ASK_EVERY_S))[0]:
            program.check()
    finally:
        answer.cancel()
    result = answer.result()
    if result.code is not Code.OK:
        raise WrongResults(f"{command} was answered with {result.code}")
    return result, loop.time() - start_s


def state_environment(folder: str | None, limit_mb: int | None) -> dict[str, str]:
    """The environment that decides where a worker keeps state on disk, if at all, and how much of it in memory."""
    environment = {} if folder is None else {"SHIELDX_STATE_FOLDER": folder}
    return environment if limit_mb is None else environment | {"SHIELDX_STATE_LIMIT_MB": str(limit_mb)}
