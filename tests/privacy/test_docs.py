"""The examples of docs/reference/masking.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shieldx.privacy import Category, mask
from shieldx.privacy.masker import Masker

PAGE = (Path(__file__).parents[2] / "docs/reference/masking.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z-]+)` \| `([^`]+)` \| `([^`]+)` \|$", PAGE, re.MULTILINE)


def test_every_category_has_an_example() -> None:
    assert {category for category, _, _ in ROWS} == set(Category)


@pytest.mark.parametrize(("category", "before", "after"), ROWS)
def test_an_example_is_masked_as_the_page_says(category: str, before: str, after: str) -> None:
    assert mask(before) == after
    assert Masker(categories={Category(category)}).mask(before) == after
