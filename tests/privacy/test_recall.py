"""How many card numbers are masked, and how much else. docs/reference/masking.md has these figures."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from shieldx.privacy.masker import Masker
from tests.privacy.texts import AROUND, card_numbers, hashes, order_numbers, timestamps, uuids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COUNT = 100_000
SEED = 20_261_201


def test_card_numbers_of_every_brand_length_and_separator_are_masked() -> None:
    chosen, masker = random.Random(SEED), Masker()  # noqa: S311 - a test repeats
    missed = []
    for digits, number in card_numbers(chosen, 30_000):
        before, after = chosen.choice(AROUND)
        if digits[:-4] in masker.mask(before + number + after).replace(" ", "").replace("-", "").replace(".", ""):
            missed.append(number)
    assert len(missed) <= 300, missed[:20]


@pytest.mark.parametrize(
    ("made", "least", "most"),
    [(timestamps, 0, 10), (uuids, 0, 10), (hashes, 0, 10), (order_numbers, 2_800, 3_200)],
)
def test_other_numbers_stay(made: Callable[[random.Random, int], Iterator[str]], least: int, most: int) -> None:
    """Order numbers are as likely to pass Luhn as one in ten; with brand and length, three in a hundred remain."""
    given = list(made(random.Random(SEED), COUNT))  # noqa: S311 - a test repeats
    shown = Masker().mask("\n".join(f"id {text} ok" for text in given)).split("\n")
    masked = [text for text, line in zip(given, shown, strict=True) if line != f"id {text} ok"]
    assert least <= len(masked) <= most
