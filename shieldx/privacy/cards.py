"""Payment card numbers: brands by their first digits and length, and the Luhn check."""

from __future__ import annotations

from typing import NamedTuple


class Brand(NamedTuple):
    """A card brand: ranges of first digits, each pair of equal length, and the lengths of whole numbers."""

    name: str
    ranges: tuple[tuple[str, str], ...]
    lengths: frozenset[int]


def _brand(name: str, ranges: str, lengths: range | tuple[int, ...]) -> Brand:
    """`ranges` as registries print them: `34 37`, `51-55 2221-2720`."""
    pairs = [part.split("-") for part in ranges.split()]
    return Brand(name, tuple((pair[0], pair[-1]) for pair in pairs), frozenset(lengths))


BRANDS = (
    _brand("American Express", "34 37", (15,)),
    _brand("Diners Club", "300-305 3095 36 38-39", range(14, 20)),
    _brand("JCB", "3528-3589", range(16, 20)),
    _brand("Visa", "4", (13, 16, 18, 19)),
    _brand("Mastercard", "51-55 2221-2720", (16,)),
    _brand("Mir", "2200-2204", range(16, 20)),
    _brand("Discover", "6011 644-649 65", range(16, 20)),
    _brand("UnionPay", "62 81", range(16, 20)),
    _brand("RuPay", "60 82 508", (16,)),
    _brand("Maestro", "5018 5020 5038 5893 6304 6759 6761-6763", range(13, 20)),
    _brand("Verve", "506099-506198", (16, 18, 19)),
    _brand("Troy", "9792", (16,)),
)
"""Issuer ranges as the brands publish them. Of several brands that fit a number, the one with the longest first digits
names it."""
SHORTEST, LONGEST = 13, 19
"""Digits of a card number. Maestro's 12 are not recognised: too many other numbers have 12 digits."""
_DOUBLED = bytes((digit * 2 - 9 if digit > 4 else digit * 2) for digit in range(10))  # noqa: PLR2004 - of Luhn
_LONGEST_PREFIX = 6


def is_luhn_valid(number: str) -> bool:
    """Whether the last digit of a number is its Luhn check digit. False for anything but ASCII digits."""
    if not (number.isascii() and number.isdigit()):
        return False
    digits = [ord(digit) - 48 for digit in reversed(number)]
    return (sum(digits[::2]) + sum(_DOUBLED[digit] for digit in digits[1::2])) % 10 == 0


def card_brand(number: str) -> str | None:
    """The brand that a number of digits, without separators, belongs to by its first digits and length.

    The Luhn check is not part of it. `None` if no brand issues such numbers.
    """
    if not (number.isascii() and number.isdigit()):
        return None
    for length in range(min(_LONGEST_PREFIX, len(number)), 0, -1):
        for brand in _BY_PREFIX.get(number[:length], ()):
            if len(number) in brand.lengths:
                return brand.name
    return None


def prefixes(brand: Brand) -> list[str]:
    """Every sequence of first digits of a brand: a range is spelled out."""
    return [str(prefix) for first, last in brand.ranges for prefix in range(int(first), int(last) + 1)]


def _by_prefix() -> dict[str, tuple[Brand, ...]]:
    found: dict[str, tuple[Brand, ...]] = {}
    for brand in BRANDS:
        for prefix in prefixes(brand):
            found[prefix] = (*found.get(prefix, ()), brand)
    return found


_BY_PREFIX = _by_prefix()
