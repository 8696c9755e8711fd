"""The recovery test must be able to fail: with one rule of the engine taken out, its verdict says so."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.recovery.faults import Kind, plan
from tests.recovery.ordeal import Ordeal, undergo

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = 12_000
SEED = int(os.environ.get("CHAOS_SEED", "1"))
ROUNDS = 3
PROVOKED_BY = {
    "no-fence": (Kind.FREEZE, Kind.FREEZE_LONG, Kind.BLINK),
    "no-seek": (Kind.ADD, Kind.REMOVE, Kind.KILL),
    "no-await": (Kind.REFUSE, Kind.REFUSE),
    "no-recall": (Kind.KILL, Kind.ADD, Kind.REMOVE),
    "kept-head": (Kind.REFUSE, Kind.REFUSE),
}

FOUND = {
    "no-fence": r"credits.results/\d+: .* [1-9]\d* too many",
    "no-seek": r"credits.results/\d+: .* [1-9]\d* too many",
    "no-await": r"credits.results/\d+: .*; [1-9]\d* missing",
    "no-recall": r"audit.log/\d+: \d+ should not be there",
    "kept-head": r"broken: \('gap', \d+, \d+\)",
}
"""A stall would be wrong too, and says nothing of the rule."""

pytestmark = [
    pytest.mark.integration,
    pytest.mark.recovery,
    pytest.mark.timeout(600),
    pytest.mark.soak(only=True),
]


@pytest.mark.parametrize("variant", PROVOKED_BY)
async def test_an_engine_without_one_of_its_rules_is_found_out(variant: str, tmp_path: Path) -> None:
    faults = plan(SEED, ROUNDS, PROVOKED_BY[variant])
    outcome = await undergo(Ordeal(SEED, COMMANDS, faults, variant, patience_s=15.0), tmp_path)
    print("\n".join([outcome.report(), *outcome.verdict.wrong, *outcome.happened.lines]))  # noqa: T201 - to be read
    assert any(re.match(FOUND[variant], wrong) for wrong in outcome.verdict.wrong), outcome.verdict.wrong


@pytest.mark.parametrize("variant", PROVOKED_BY)
async def test_the_whole_engine_stands_the_same_faults(variant: str, tmp_path: Path) -> None:
    faults = plan(SEED, ROUNDS, PROVOKED_BY[variant])
    outcome = await undergo(Ordeal(SEED, COMMANDS, faults), tmp_path)
    assert not outcome.verdict.wrong, "\n".join([*outcome.verdict.wrong, *outcome.happened.lines, outcome.logs])
