"""`shieldx privacy fields` lists the platform's fields, and those of extensions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from click.testing import Result

EXTENSION = Path(__file__).parents[2] / "examples" / "bursts"


def listed(result: Result) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in result.stdout.splitlines()]


def test_a_field_is_listed_with_what_it_is_and_how_long_it_lives(shieldx: Callable[..., Result]) -> None:
    (row,) = [
        row
        for row in listed(shieldx("privacy", "fields", "--json"))
        if (row["stored_in"], row["message"], row["field"]) == ("privacy.keys", "privacy.keys/1", "keys.wrapped")
    ]
    assert (row["nature"], row["what"]) == ("secret", "data key of a person, wrapped")
    assert row["lifetime"].startswith("until the person is erased")


def test_fields_of_an_extension_may_have_no_classification(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIELDX_EXTENSIONS", str(EXTENSION))
    natures = {
        row["field"]: row["nature"]
        for row in listed(shieldx("privacy", "fields", "--json"))
        if row["message"] == "bursts.set_limit/1"
    }
    assert natures == {"type": "neither", "tenant_id": "neither", "limit": "not classified"}


def test_a_table_is_printed_for_people(shieldx: Callable[..., Result]) -> None:
    assert "brand and last four digits of a card" in shieldx("privacy", "fields").stdout
