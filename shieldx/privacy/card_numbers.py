"""Finds card numbers in text, and the rule that tells them from other long numbers."""

from __future__ import annotations

import re
from typing import NamedTuple

from shieldx.privacy.cards import BRANDS, LONGEST, SHORTEST, card_brand, is_luhn_valid, prefixes
from shieldx.privacy.categories import Category
from shieldx.privacy.detection import WORD_BEGINS, Detector, Finding, found, word_at

_TWO_DIGITS = sorted(
    {prefix[:2] if len(prefix) > 1 else prefix + r"\d" for brand in BRANDS for prefix in prefixes(brand)}
)
_SEPARATOR = (
    rb"(?: {1,2}|[.+\-]|\xc2\xa0|\xe2\x80[\x80-\x95\xaf]|\xe2\x88\x92"  # in UTF-8: spaces and dashes, U+00A0 to U+2212
    rb"|\\{1,4}u(?:00[aA]0|20(?:1[0-5]|2[fF])))"  # and as JSON escapes them
)
TRIGGER = rb"(?:%b|[G-Zg-z][A-Fa-f]{0,3})(?:%b)(?:%b?\d){%d}" % (
    WORD_BEGINS,
    "|".join(_TWO_DIGITS).encode(),
    _SEPARATOR,
    SHORTEST - 2,
)
"""A word may go before a number, as in `card4111…`, if one of its last four letters is no hexadecimal digit."""
_WORD_BEFORE = re.compile(rb"[G-Zg-z][A-Fa-f]{0,3}")
_DIGITS = re.compile(rb"\d+")
_BETWEEN_GROUPS = re.compile(_SEPARATOR + rb"(?=\d)")
_SEPARATOR_OR_DIGIT = re.compile(_SEPARATOR + rb"|\d")
_MASKED = re.compile(rb"\*{3}%b?\*{0,3}(?:\d%b?){0,3}\Z" % (_SEPARATOR, _SEPARATOR))
"""How the bytes before a number end that is the rest of a masked one."""
_MOST_BYTES_OF_MASKED = 52
_OTHER_NUMBER = re.compile(rb"\d\.\Z|\":[ \t]?-\Z")
_AFTER_KEY = re.compile(rb"[^\s:,\[{\\](\\{0,7}\"):[ \t]?\Z")
_ENDS_NUMBER = re.compile(rb"[ \t]*(?:[,}\]\s]|\Z)")
_NEVER_ENDS = re.compile(rb"\d|\*{3}")
_CONTINUES = re.compile(rb"[A-Za-z]|\.\d")
_FRACTION = re.compile(rb"\.\d{1,2}(?![0-9A-Za-z]|\.\d)")
"""What a program adds that takes a number for an amount."""
_HEXADECIMAL = re.compile(rb"0[xX][A-Fa-f]*\Z")
_LETTERS_AFTER = re.compile(rb"[A-Za-z][0-9A-Za-z]*")
_CURRENCY = re.compile(rb"[A-Z]{3}\Z")
_NOT_HEXADECIMAL = re.compile(rb"[G-Zg-z]")
_MOST_LETTERS = 64
_FURTHER_GROUPS = re.compile(rb"%b\d" % _SEPARATOR)
_EXPIRY_OR_AMOUNT = re.compile(
    rb"%b(?:(?:0[1-9]|1[0-2])[/\-]?(?:20)?\d\d|\d{1,3}(?:[.,]\d\d)?)(?:%b\d{3,4})?(?!\d|%b\d)" % ((_SEPARATOR,) * 3)
)
"""An expiry, a security code or an amount, at the end of a row of groups."""
_CUSTOMARY = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (6, 13), (4, 3, 3, 3)})
"""How brands print numbers in groups."""
_GROUP_DIGITS = range(3, 8)
_KEPT_DIGITS = 4


def look(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """A card number that begins here: its last four digits and its separators are kept."""
    del end, floor
    word = _WORD_BEFORE.match(text, start)
    in_word = word is not None
    start = word_at(text, start) if word is None else word.end()
    if not _may_begin(text, start) or (in_word and _HEXADECIMAL.search(text, max(0, start - _MOST_LETTERS), start)):
        return None
    endings = _endings(text, start)
    for ending in endings:
        if is_luhn_valid(ending.digits) and (stop := _end_with_fraction(text, start, ending.at, in_word=in_word)):
            return _found(text, start, ending.at, stop)
    for ending in endings:
        if not in_word and not _CONTINUES.match(text, ending.at) and _is_printed_number(text, start, ending):
            return _found(text, start, ending.at, ending.at)
    return None


def _end_with_fraction(text: bytes, start: int, at: int, *, in_word: bool) -> int | None:
    """Where a number ends that passes Luhn; `None` if it is a part of something else, such as a hash."""
    if after := _LETTERS_AFTER.match(text, at, at + _MOST_LETTERS):
        is_currency = not in_word and _CURRENCY.match(after.group())
        return at if is_currency or _NOT_HEXADECIMAL.search(after.group()) else None
    if not _CONTINUES.match(text, at):
        return at
    fraction = None if b"." in text[start:at] else _FRACTION.match(text, at)
    return fraction.end() if fraction else None


def _found(text: bytes, start: int, end: int, stop: int) -> Finding:
    """The number goes to `end`, and its fraction to `stop`."""
    quote = _quote_in_json(text, start, stop)
    return found(start, stop, quote + keep_last_digits(text[start:end]) + text[end:stop] + quote)


def keep_last_digits(number: bytes) -> bytes:
    """A card number with all but its last four digits hidden, and its separators, which may be escaped."""
    parts = _SEPARATOR_OR_DIGIT.findall(number)
    digits = [place for place, part in enumerate(parts) if part.isdigit()]
    for place in digits[:-_KEPT_DIGITS]:
        parts[place] = b"*"
    return b"".join(parts)


def _quote_in_json(text: bytes, start: int, end: int) -> bytes:
    """What makes a string of a number in JSON, so that the line remains JSON: a quote, escaped as the key's is."""
    key = _AFTER_KEY.search(text[max(0, start - 12) : start])
    return b"" if key is None or not _ENDS_NUMBER.match(text, end) else key.group(1)


def _may_begin(text: bytes, start: int) -> bool:
    """Not in a decimal fraction or a negative number of JSON, nor where a masked number ends."""
    before = text[max(0, start - _MOST_BYTES_OF_MASKED) : start]
    return not _OTHER_NUMBER.search(before) and not _MASKED.search(before)


def _endings(text: bytes, start: int) -> list[_Ending]:
    """Where a number that begins here may end, if some brand has such numbers; the longest first."""
    endings: list[_Ending] = []
    at, digits = start, ""
    groups: tuple[int, ...] = ()
    separators: frozenset[bytes] = frozenset()
    while group := _DIGITS.match(text, at, at + LONGEST + 1):
        at = group.end()
        digits += group.group().decode()
        groups = (*groups, len(group.group()))
        if len(digits) > LONGEST or (len(groups) > 1 and groups[-2] < _GROUP_DIGITS.start):
            break
        if len(digits) >= SHORTEST and card_brand(digits) and _are_groups(groups) and not _NEVER_ENDS.match(text, at):
            endings.append(_Ending(at, digits, groups, separators))
        separator = _BETWEEN_GROUPS.match(text, at)
        if separator is None:
            break
        separators |= {separator.group()}
        at = separator.end()
    return endings[::-1]


def _are_groups(groups: tuple[int, ...]) -> bool:
    """Not the groups of a UUID, nor a row of small numbers."""
    *first, last = groups
    return groups in _CUSTOMARY or not first or (all(n in _GROUP_DIGITS for n in first) and last < _GROUP_DIGITS.stop)


def _is_printed_number(text: bytes, start: int, ending: _Ending) -> bool:
    """Grouped as brands group, by one separator throughout, and not part of a longer row of groups."""
    if ending.groups not in _CUSTOMARY or len(ending.separators) != 1 or b"  " in ending.separators:
        return False
    (separator,) = ending.separators
    before = text[max(0, start - len(separator) - 1) : start]
    if before[:1].isdigit() and before[1:] == separator:
        return False
    further = text.startswith(separator, ending.at) and _FURTHER_GROUPS.match(text, ending.at)
    return not further or _EXPIRY_OR_AMOUNT.match(text, ending.at) is not None


class _Ending(NamedTuple):
    """Where a number may end, its digits, how many of them each group has, and what is between the groups."""

    at: int
    digits: str
    groups: tuple[int, ...]
    separators: frozenset[bytes]


DETECTOR = Detector(Category.CARD, TRIGGER, look)
