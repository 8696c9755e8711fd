"""Parts of docs/reference/benchmarks.md that a run writes, each between two markers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "benchmarks.md"


class RestoreTheMarkers(ShieldXError):
    """A page lacks the markers of a part."""


def with_part(page: str, name: str, lines: Sequence[str]) -> str:
    """The page with the text between the markers of `name` replaced.

    Raises:
        RestoreTheMarkers: The markers do not exist exactly once and in order.
    """
    begin, end = f"<!-- {name}: written by a run -->", f"<!-- end of {name} -->"
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end or begin in after or end in after:
        raise RestoreTheMarkers(f"the page must contain {begin} and then {end}, once each")
    return "\n".join([before + begin, "", *lines, "", end + after])


def check_part(path: Path, name: str) -> None:
    """Check before a long run that its part can be written.

    Raises:
        RestoreTheMarkers: The part cannot be written.
        OSError: The page does not exist.
    """
    with_part(path.read_text(encoding="utf-8"), name, [])


def write_part(path: Path, name: str, lines: Sequence[str]) -> None:
    """Replace a part of the page at `path`; see `with_part`."""
    page = path.read_text(encoding="utf-8")
    path.write_text(with_part(page, name, lines), encoding="utf-8")
