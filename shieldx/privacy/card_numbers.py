"""Finds card numbers in text, and the rule that tells them from other long numbers."""

from __future__ import annotations

import re
from typing import NamedTuple

from shieldx.privacy.cards import BRANDS, LONGEST, SHORTEST, card_brand, is_luhn_valid, prefixes
from shieldx.privacy.categories import Category
from shieldx.privacy.detection import WORD_BEGINS, Detector, Finding, found, keep_last, word_at

_TWO_DIGITS = sorted(
    {prefix[:2] if len(prefix) > 1 else prefix + r"\d" for brand in BRANDS for prefix in prefixes(brand)}
)
TRIGGER = WORD_BEGINS + rb"(?:" + "|".join(_TWO_DIGITS).encode() + rb")(?:[ .+\-]?\d){%d}" % (SHORTEST - 2)
_GROUPS = re.compile(rb"\d+(?:[ .+\-]\d+)*")
_TO_SPACES = bytes.maketrans(b".+-", b"   ")
_MOST_BYTES = 2 * LONGEST
_MASKED = re.compile(rb"\*{3}[ .+\-]?\*{0,3}(?:\d[ .+\-]?){0,3}\Z")
"""How the bytes before a number end that is the rest of a masked one."""
_OTHER_NUMBER = re.compile(rb"\d\.\Z|\":[ \t]?-\Z")
_AFTER_KEY = re.compile(rb"[^\s:,\[{\\](\\{0,7}\"):[ \t]?\Z")
_ENDS_NUMBER = re.compile(rb"[ \t]*(?:[,}\]\s]|\Z)")
_CONTINUES = re.compile(rb"[0-9A-Za-z]|\.\d|\*{3}")
_CUSTOMARY = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (6, 13), (4, 3, 3, 3)})
"""How brands print numbers in groups."""
_GROUP_DIGITS = range(3, 8)
_KEPT_DIGITS = 4


def look(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """A card number that begins here: its last four digits and its separators are kept."""
    del end, floor
    start = word_at(text, start)
    if not _may_begin(text, start):
        return None
    endings = _endings(text, start)
    for ending in endings:
        if is_luhn_valid(ending.digits):
            return _found(text, start, ending.at)
    for ending in endings:
        if _is_printed_number(text, start, ending):
            return _found(text, start, ending.at)
    return None


def _found(text: bytes, start: int, end: int) -> Finding:
    quote = _quote_in_json(text, start, end)
    return found(start, end, quote + keep_last(text[start:end], _KEPT_DIGITS) + quote)


def _quote_in_json(text: bytes, start: int, end: int) -> bytes:
    """What makes a string of a number in JSON, so that the line remains JSON: a quote, escaped as the key's is."""
    key = _AFTER_KEY.search(text[max(0, start - 12) : start])
    return b"" if key is None or not _ENDS_NUMBER.match(text, end) else key.group(1)


def _may_begin(text: bytes, start: int) -> bool:
    """Not in a decimal fraction or a negative number of JSON, nor where a masked number ends."""
    before = text[max(0, start - 12) : start]
    return not _OTHER_NUMBER.search(before) and not _MASKED.search(before)


def _endings(text: bytes, start: int) -> list[_Ending]:
    """Where a number that begins here may end, if some brand has such numbers; the longest first."""
    run = _GROUPS.match(text, start, start + _MOST_BYTES)
    if run is None:
        return []
    endings: list[_Ending] = []
    at, digits = start - 1, ""
    groups: tuple[int, ...] = ()
    for group in run.group().translate(_TO_SPACES).split(b" "):
        at += 1 + len(group)
        digits += group.decode()
        groups = (*groups, len(group))
        if len(digits) > LONGEST or (len(groups) > 1 and groups[-2] < _GROUP_DIGITS.start):
            break
        if len(digits) >= SHORTEST and card_brand(digits) and _may_end(text, at) and _are_groups(groups):
            endings.append(_Ending(at, digits, groups))
    return endings[::-1]


def _may_end(text: bytes, at: int) -> bool:
    return not _CONTINUES.match(text, at)


def _are_groups(groups: tuple[int, ...]) -> bool:
    """Not the groups of a UUID, nor a row of small numbers."""
    *first, last = groups
    return groups in _CUSTOMARY or not first or (all(n in _GROUP_DIGITS for n in first) and last < _GROUP_DIGITS.stop)


def _is_printed_number(text: bytes, start: int, ending: _Ending) -> bool:
    """Grouped as brands group, by one separator throughout, and not part of a longer row of groups."""
    separators = set(text[start : ending.at].translate(None, b"0123456789"))
    if ending.groups not in _CUSTOMARY or len(separators) != 1:
        return False
    separator = bytes(separators)
    before, after = text[max(0, start - 2) : start], text[ending.at : ending.at + 2]
    return not (before[:1].isdigit() and before[1:] == separator) and not (
        after[:1] == separator and after[1:].isdigit()
    )


class _Ending(NamedTuple):
    """Where a number may end, its digits, and how many of them each group has."""

    at: int
    digits: str
    groups: tuple[int, ...]


DETECTOR = Detector(Category.CARD, TRIGGER, look)
