"""How a version of a set is named on the command line."""

from __future__ import annotations

import pytest

from shieldx.cli.samples.sets import SetName


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("default", SetName("default", None)),
        ("default@0123456789abcdef", SetName("default", "0123456789abcdef")),
        ("shop@home", SetName("shop@home", None)),
        ("shop@home@0123456789abcdef", SetName("shop@home", "0123456789abcdef")),
        ("default@0123456789ABCDEF", SetName("default@0123456789ABCDEF", None)),
    ],
)
def test_a_version_follows_the_last_at_sign(text: str, name: SetName) -> None:
    assert SetName.of(text) == name
