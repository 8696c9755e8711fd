"""Exactly once under fire: whatever is killed, frozen, moved or refused, the log reads as if nothing had been."""

from __future__ import annotations

import os
from time import time_ns
from typing import TYPE_CHECKING

import pytest

from tests.lengths import length
from tests.recovery.faults import FULL, Kind, plan
from tests.recovery.ordeal import Ordeal, undergo

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = int(os.environ.get("CHAOS_COMMANDS", length(short=6_000, soak=200_000)))
SEED = int(os.environ.get("CHAOS_SEED", time_ns() % 1_000_000))
ROUNDS = max(1, round(COMMANDS / 60_000))


@pytest.mark.integration
@pytest.mark.recovery
@pytest.mark.soak
@pytest.mark.timeout(300 + COMMANDS // 100)
async def test_every_command_is_answered_exactly_once_whatever_fails(tmp_path: Path) -> None:
    print(f"\nCHAOS_SEED={SEED} CHAOS_COMMANDS={COMMANDS}")  # noqa: T201 - known even if the run never ends
    outcome = await undergo(Ordeal(SEED, COMMANDS, plan(SEED, ROUNDS)), tmp_path)
    print(outcome.report())  # noqa: T201 - seed and counts are what a reader of the run looks for
    if outcome.verdict.wrong:  # what matters most comes last, where a log that was cut still has it
        wrong = [f"CHAOS_SEED={SEED}", *outcome.verdict.wrong]
        pytest.fail("\n".join([outcome.logs, *outcome.happened.lines, *wrong]), pytrace=False)
    assert set(outcome.happened.counts) == set(Kind)
    assert outcome.happened.damaged > 0
    assert outcome.happened.put_back > 0
    assert outcome.happened.rewound > 0
    assert sum(outcome.events[message] for message in FULL) > 0, "a disk that was full has shown"
