"""`--quick`: small sizes to check that a measurement runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence


def parse(
    parser: argparse.ArgumentParser, quick: Mapping[str, Any], arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """Parse the arguments, or the command line. `--quick` makes unspecified sizes small."""
    given = parser.parse_args(arguments)
    if given.quick:
        for name, small in quick.items():
            if getattr(given, name) == parser.get_default(name):
                setattr(given, name, small)
    return given
