"""What befalls evaluators, and the agent that plans for them, while they work."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from tests.recovery.fleet import Fleet

FROZEN_S = 8.0
"""Longer than the session timeout: the frozen worker's partitions are given away, and it thaws to find them gone."""
PAUSE_S = 1.0


class Kind(StrEnum):
    """Each happens at least once a run."""

    EVALUATOR_KILLED = "evaluator killed"
    EVALUATOR_FROZEN = "evaluator frozen and thawed"
    EVALUATOR_ADDED = "evaluator added"
    EVALUATOR_STOPPED = "evaluator stopped in order"
    PROCESS_KILLED = "process of an evaluator's pool killed"
    PROCESS_FROZEN = "process of an evaluator's pool frozen and thawed"
    PLANNER_KILLED = "planner killed"


def plan(seed: int) -> list[Kind]:
    """An order of all of them; kills come twice."""
    kinds = [*Kind, Kind.EVALUATOR_KILLED, Kind.PROCESS_KILLED]
    Random(seed).shuffle(kinds)  # noqa: S311 - replayed by its seed
    return kinds


class Faults:
    """Does them, one after the other."""

    def __init__(self, evaluators: Fleet, planners: Fleet, seed: int) -> None:
        self._evaluators = evaluators
        self._planners = planners
        self._random = Random(seed)  # noqa: S311 - replayed by its seed
        self.happened: Counter[Kind] = Counter()

    async def happen(self, kinds: list[Kind]) -> None:
        for kind in kinds:
            await asyncio.sleep(PAUSE_S)
            await self._happen(kind)
            self.happened[kind] += 1

    async def _happen(self, kind: Kind) -> None:
        evaluators = self._evaluators
        match kind:
            case Kind.EVALUATOR_KILLED:
                evaluators.kill(evaluators.pick(self._random.random()))
                evaluators.start()
            case Kind.EVALUATOR_FROZEN:
                frozen = evaluators.pick(self._random.random())
                frozen.freeze()
                await asyncio.sleep(FROZEN_S)
                frozen.thaw()
            case Kind.EVALUATOR_ADDED:
                evaluators.start()
            case Kind.EVALUATOR_STOPPED:
                if len(evaluators) == 1:
                    evaluators.start()
                await evaluators.stop(evaluators.pick(self._random.random()))
            case Kind.PROCESS_KILLED:
                (await self._process_of_a_pool()).kill()
            case Kind.PROCESS_FROZEN:
                process = await self._process_of_a_pool()
                process.suspend()
                await asyncio.sleep(FROZEN_S)
                with suppress(psutil.NoSuchProcess):  # its worker may have been killed, and it with it
                    process.resume()
            case Kind.PLANNER_KILLED:
                self._planners.kill(self._planners.pick(self._random.random()))
                self._planners.start()

    async def _process_of_a_pool(self) -> psutil.Process:
        """Once there is one: a worker that has just started has no pool yet."""
        while True:
            worker = self._evaluators.pick(self._random.random())
            processes = [it for it in worker.children() if it.status() != psutil.STATUS_ZOMBIE]
            if processes:
                return self._random.choice(processes)
            await asyncio.sleep(PAUSE_S / 10)
