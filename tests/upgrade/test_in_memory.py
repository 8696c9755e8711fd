"""What one release has stored, the other reads, step by step on a log in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.engine.tasks.partitioner import home_partition
from tests.upgrade.handover import PARTITIONS, Handover
from tests.upgrade.next_release import PatchFails, patched, write_next_release
from tests.upgrade.releases import PRESENT, Release

if TYPE_CHECKING:
    from pathlib import Path


def tenant_of(partition: int) -> str:
    return next(name for name in map("tenant-{}".format, range(100)) if home_partition(name, PARTITIONS) == partition)


FIRST, SECOND = tenant_of(0), tenant_of(1)


def step(release: Release, handover: Handover) -> Handover:
    done = release.run("tests.upgrade.handover", given=msgspec.json.encode(handover).decode())
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=Handover)


def next_step(before: Handover, *tenants: str, format_level: int | None = None) -> Handover:
    return msgspec.structs.replace(
        before, step=before.step + 1, tenants=list(tenants), known=before.tenants, format_level=format_level
    )


def codes(handover: Handover) -> set[str]:
    return {exchange.answer["code"] for exchange in handover.exchanges}


def test_a_patch_fails_where_its_text_is_gone() -> None:
    with pytest.raises(PatchFails, match=r"shieldx/a\.py has 'x' 0 times"):
        patched("a.py", "y", (("x", "z"),))


@pytest.fixture(scope="module")
def begun() -> Handover:
    """What the present release has left in the first partition; the second has no records yet."""
    done = step(PRESENT, Handover(tenants=[FIRST]))
    assert (done.release_level, done.refused, done.wrong) == (1, None, [])
    return done


def test_an_upgrade_and_a_rollback_change_no_answer(next_release: Release, begun: Handover) -> None:
    """The second partition has its first record while the new release is at work, and comes back to the old one."""
    done = begun
    for release, level in ((next_release, 2), (PRESENT, 1), (next_release, 2)):
        done = step(release, next_step(done, FIRST, SECOND))
        assert (done.release_level, done.refused, done.wrong) == (level, None, [])
    assert "spending_limit" not in codes(done)

    done = step(next_release, next_step(done, FIRST, SECOND, format_level=2))
    assert (done.refused, done.wrong) == (None, [])
    assert "spending_limit" in codes(done)
    assert b'"state":"aborted"' in b"".join(
        it.value or b"" for it in done.records if it.topic == "credits.reservations"
    )
    done = step(next_release, next_step(done))
    assert (done.refused, done.wrong) == (None, []), "what the new level brings is remembered"

    refused = step(PRESENT, next_step(done)).refused
    assert refused is not None
    assert "stored forms of level 2; this release reads levels 1 to 1. An upgrade was finalised" in refused
    refused = step(next_release, next_step(done, format_level=1)).refused
    assert refused is not None
    assert "SHIELDX_FORMAT_LEVEL is 1: a level cannot be lowered" in refused


def test_a_release_does_not_write_a_level_that_it_does_not_know() -> None:
    refused = step(PRESENT, Handover(tenants=[FIRST], format_level=2)).refused
    assert refused == (
        "SHIELDX_FORMAT_LEVEL is 2; this release writes levels 1 to 1. Unset it, or run a release of that level"
    )


CARELESS = {
    "codes are numbered in their order": (
        "domains/credits/outcomes.py",
        ("_CODES = {", "CODE_NUMBERS = {code: number for number, code in enumerate(Code)}\n_CODES = {"),
        "was answered",
    ),
    "a field counts before its level": (
        "domains/credits/messages.py",
        ('since_level: ClassVar = {"category": 2}', "since_level: ClassVar = {}"),
        "was answered",
    ),
    "defaults are hashed": (
        "domains/credits/messages.py",
        ("kw_only=True, omit_defaults=True, tag_field", "kw_only=True, tag_field"),
        "was answered",
    ),
    "a state is used before its level": (
        "domains/credits/ledger.py",
        ("State.ABORTED if format_level >= 2 else State.SETTLED", "State.ABORTED"),
        "the state of a hold has version aborted; this release reads expired, open, settled. Run the release that",
    ),
    "an outcome is packed in its new version before its level": (
        "domains/credits/fold.py",
        ("self._version = context.format_level", "self._version = 2"),
        "a packed outcome has version 2; this release reads 1. Run the release that wrote it, or a later one",
    ),
}


@pytest.mark.parametrize("rule", CARELESS)
def test_a_release_that_breaks_a_rule_is_found_out(rule: str, begun: Handover, tmp_path: Path) -> None:
    """These are the mistakes that the guide for upgrades warns of: either answers differ, or a release refuses."""
    name, patch, sign = CARELESS[rule]
    careless = Release(write_next_release(tmp_path, {name: (patch,)}))
    used = step(careless, next_step(begun, FIRST))
    rolled_back = step(PRESENT, next_step(used, FIRST))
    assert sign in " ".join([*used.wrong, *rolled_back.wrong, rolled_back.refused or ""])
