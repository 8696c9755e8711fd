"""The fragments of the changelog have names that towncrier takes, and texts that read well in the list it makes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOWNCRIER = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
TYPES = [kind["directory"] for kind in TOWNCRIER["type"]]
NAME = re.compile(rf"\+[a-z0-9-]+\.(?:{'|'.join(TYPES)})\.md")
FRAGMENTS = sorted(path for path in (ROOT / TOWNCRIER["directory"]).iterdir() if path.name != ".gitignore")


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda fragment: fragment.name)
def test_a_fragment_has_a_type_and_one_paragraph(fragment: Path) -> None:
    assert NAME.fullmatch(fragment.name), f"towncrier leaves it out; name it +<name>.<one of {', '.join(TYPES)}>.md"
    text = fragment.read_text(encoding="utf-8").strip()
    assert re.fullmatch(r"[A-Z`\"].*\.", text), "one line of whole sentences; towncrier adds the dash"


@pytest.mark.parametrize("name", ["docs.added.md", "+docs.md", "+docs.feature.md", "+Docs.added.md", "+docs.added.rst"])
def test_a_name_that_towncrier_would_leave_out_is_not_taken(name: str) -> None:
    assert NAME.fullmatch(name) is None


def test_the_changelog_has_the_mark_where_a_release_is_written() -> None:
    assert (ROOT / TOWNCRIER["filename"]).read_text(encoding="utf-8").count(
        "<!-- towncrier release notes start -->"
    ) == 1
