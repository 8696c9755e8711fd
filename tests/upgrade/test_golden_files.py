"""Forms that this release has stored, read by a release with a field, a code and a state more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.upgrade.golden_reading import AS_FIRST, Reading, golden

if TYPE_CHECKING:
    from tests.upgrade.releases import Release


@pytest.fixture(scope="module")
def reading(next_release: Release) -> Reading:
    done = next_release.run("tests.upgrade.golden_reading")
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=Reading)


def test_outcomes_are_read_by_a_consume_with_one_field_more(reading: Reading) -> None:
    """It once shifted the digests of fields, and every retry of an old key raised struct.error."""
    assert reading.fields_of_consume[3:] == ["amount", "category", "description", "personal"]
    assert set(reading.outcomes.values()) == {AS_FIRST}


def test_holds_and_positions_are_read(reading: Reading) -> None:
    assert reading.holds == {state: state for state in ("open", "settled", "expired")}
    assert reading.reservation == "open"
    assert reading.next_offset == 813


def test_digests_are_the_same(reading: Reading) -> None:
    """Of commands, appends, rules, requests and sets of samples: a field that is not sent changes none of them."""
    assert reading.digests == msgspec.json.decode(golden("digests.1.json"))
