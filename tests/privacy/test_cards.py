from __future__ import annotations

import random

import pytest
from stdnum import luhn

from shieldx.privacy import card_brand, is_luhn_valid


@pytest.mark.parametrize(
    ("number", "brand"),
    [
        ("4111111111111111", "Visa"),
        ("4222222222222", "Visa"),
        ("5555555555554444", "Mastercard"),
        ("2221000000000009", "Mastercard"),
        ("2720999999999996", "Mastercard"),
        ("378282246310005", "American Express"),
        ("6011111111111117", "Discover"),
        ("30569309025904", "Diners Club"),
        ("3530111333300000", "JCB"),
        ("6200000000000005", "UnionPay"),
        ("6759649826438453", "Maestro"),
        ("2200000000000004", "Mir"),
        ("9792030000000000", "Troy"),
    ],
)
def test_first_digits_and_length_name_a_brand(number: str, brand: str) -> None:
    assert card_brand(number) == brand


@pytest.mark.parametrize(
    "number",
    ["1732270000000", "2721000000000004", "411111111111111", "37828224631000", "0000000000000000", "", "4111-1111"],
)
def test_a_number_that_no_brand_issues_has_none(number: str) -> None:
    assert card_brand(number) is None


def test_a_timestamp_may_pass_luhn_but_has_no_brand() -> None:
    assert is_luhn_valid("1732270000000")
    assert card_brand("1732270000000") is None


def test_luhn_agrees_with_stdnum() -> None:
    chosen = random.Random(5)  # noqa: S311 - a test repeats
    numbers = [str(chosen.randrange(10**19))[: chosen.randint(1, 19)] for _ in range(20_000)]
    assert [is_luhn_valid(number) for number in numbers] == [luhn.is_valid(number) for number in numbers]
    assert any(map(is_luhn_valid, numbers))


@pytest.mark.parametrize("text", ["", "4111 1111 1111 1111", "\uff14\uff11\uff11\uff11", "-18"])
def test_only_ascii_digits_pass_luhn(text: str) -> None:
    assert not is_luhn_valid(text)
