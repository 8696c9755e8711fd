from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.page import PAGE, RestoreTheMarkers, with_part, write_part

if TYPE_CHECKING:
    from pathlib import Path

PAGE_TEXT = """# Title

<!-- peers: written by a run -->

old

<!-- end of peers -->

What a person wrote.
"""


def test_only_the_text_between_the_markers_is_replaced() -> None:
    page = with_part(PAGE_TEXT, "peers", ["new", "lines"])
    assert page == PAGE_TEXT.replace("old", "new\nlines")


def test_writing_twice_is_writing_once() -> None:
    once = with_part(PAGE_TEXT, "peers", ["new"])
    assert with_part(once, "peers", ["new"]) == once


@pytest.mark.parametrize(
    "page",
    [
        "no markers",
        PAGE_TEXT.replace("<!-- end of peers -->", ""),
        PAGE_TEXT + PAGE_TEXT,
        "<!-- end of peers -->\n<!-- peers: written by a run -->",
    ],
)
def test_a_page_without_its_markers_is_left_alone(page: str) -> None:
    with pytest.raises(RestoreTheMarkers, match="<!-- peers: written by a run -->"):
        with_part(page, "peers", ["new"])


@pytest.mark.parametrize("name", ["peers", "growth-scaling", "growth-restart", "growth-large"])
def test_the_page_of_benchmarks_has_the_markers_of_every_part(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    copy.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    write_part(copy, name, ["measured"])
    assert "measured" in copy.read_text(encoding="utf-8")
