"""`--quick`: small sizes, to see that a measurement runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def parse(parser: argparse.ArgumentParser, quick: Mapping[str, Any]) -> argparse.Namespace:
    """What the command line says; with `--quick`, what it leaves out is small."""
    given = parser.parse_args()
    if given.quick:
        for name, small in quick.items():
            if getattr(given, name) == parser.get_default(name):
                setattr(given, name, small)
    return given
