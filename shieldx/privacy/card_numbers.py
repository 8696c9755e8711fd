"""Finds card numbers in text, and the rule that tells them from other long numbers."""

from __future__ import annotations

import re

from shieldx.privacy.cards import BRANDS, LONGEST, SHORTEST, card_brand, is_luhn_valid, prefixes
from shieldx.privacy.categories import Category
from shieldx.privacy.detection import Detector, Finding, found

ESCAPE = rb"\\(?:[abfnrtv]|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})"
"""An escape of a JSON or Python string: what follows it is not part of a longer word."""
_TWO_DIGITS = sorted(
    {prefix[:2] if len(prefix) > 1 else prefix + r"\d" for brand in BRANDS for prefix in prefixes(brand)}
)
TRIGGER = rb"(?:\b|_|" + ESCAPE + rb")(?:" + "|".join(_TWO_DIGITS).encode() + rb")(?:[ .+\-]?\d){%d}" % (SHORTEST - 2)
_GROUPS = re.compile(rb"\d+(?:[ .+\-]\d+)*")
_ESCAPE = re.compile(ESCAPE)
_MOST_BYTES = 2 * LONGEST
_MASKED = re.compile(rb"\*{3}[ .+\-]?\*{0,3}(?:\d[ .+\-]?){0,3}\Z")
"""How the bytes before a number end that is the rest of a masked one."""
_CONTINUES = re.compile(rb"[0-9A-Za-z]|\.\d|\*{3}")
_CUSTOMARY = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (6, 13), (4, 3, 3, 3)})
"""How brands print numbers in groups."""
_GROUP_DIGITS = range(3, 8)
_KEPT_DIGITS = 4


def look(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """A card number that begins here: its last four digits and its separators are kept."""
    del end, floor
    start = _first_digit(text, start)
    if not _may_begin(text, start):
        return None
    for luhn_decides in (True, False):
        for end_of_number, groups in _endings(text, start):
            if luhn_decides or _is_printed_number(text, start, end_of_number, groups):
                number = text[start:end_of_number]
                digits = re.sub(rb"\D", b"", number).decode()
                if card_brand(digits) and (not luhn_decides or is_luhn_valid(digits)):
                    return found(start, end_of_number, keep_last(number, _KEPT_DIGITS))
    return None


def keep_last(number: bytes, kept: int) -> bytes:
    """A number whose letters and digits become `*`, except the last ones. Separators are kept."""
    at = len(number)
    while kept:
        at -= 1
        kept -= number[at : at + 1].isalnum()
    return re.sub(rb"[0-9A-Za-z]", b"*", number[:at]) + number[at:]


def _first_digit(text: bytes, start: int) -> int:
    if escape := _ESCAPE.match(text, start):
        return escape.end()
    return start + (text[start : start + 1] == b"_")


def _may_begin(text: bytes, start: int) -> bool:
    """Not in the middle of a decimal fraction, nor where a masked number ends."""
    before = text[max(0, start - 12) : start]
    return not re.search(rb"\d\.\Z", before) and not _MASKED.search(before)


def _endings(text: bytes, start: int) -> list[tuple[int, tuple[int, ...]]]:
    """Where a card number that begins here may end, longest first, and the digits in each of its groups."""
    run = _GROUPS.match(text, start, start + _MOST_BYTES)
    if run is None:
        return []
    endings: list[tuple[int, tuple[int, ...]]] = []
    at = start
    groups: tuple[int, ...] = ()
    for group in re.split(rb"[ .+\-]", run.group()):
        at += len(group)
        groups = (*groups, len(group))
        if SHORTEST <= sum(groups) <= LONGEST and _may_end(text, at) and _are_groups(groups):
            endings.append((at, groups))
        at += 1
    return endings[::-1]


def _may_end(text: bytes, at: int) -> bool:
    return not _CONTINUES.match(text, at)


def _are_groups(groups: tuple[int, ...]) -> bool:
    """Not the groups of a UUID, nor a row of small numbers."""
    *first, last = groups
    return groups in _CUSTOMARY or not first or (all(n in _GROUP_DIGITS for n in first) and last < _GROUP_DIGITS.stop)


def _is_printed_number(text: bytes, start: int, end: int, groups: tuple[int, ...]) -> bool:
    """Grouped as brands group, by one separator throughout, and not part of a longer row of groups."""
    separators = set(re.sub(rb"\d", b"", text[start:end]))
    if groups not in _CUSTOMARY or len(separators) != 1:
        return False
    separator = bytes(separators)
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    return not (before[:1].isdigit() and before[1:] == separator) and not (
        after[:1] == separator and after[1:].isdigit()
    )


DETECTOR = Detector(Category.CARD, TRIGGER, look)
