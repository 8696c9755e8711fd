"""Finds numbers of people: US social security numbers, and telephone numbers in E.164."""

from __future__ import annotations

import re

from shieldx.privacy.categories import Category
from shieldx.privacy.detection import ENDS_ESCAPE, WORD_BEGINS, Detector, Finding, found, keep_last, word_at

_MOST_DIGITS = 15
"""Of a telephone number, by E.164."""
_PHONE = re.compile(rb"\+[1-9](?:\d{7,14}|(?:[ .\-()]{0,2}\d){7,14})")
_KEPT = 2


def look_at_ssn(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """A social security number. Those that begin with 000 or 666 are never given out."""
    del floor
    start = word_at(text, start)
    number, before, after = text[start:end], text[max(0, start - 2) : start], text[end : end + 2]
    separator = number[3:4]
    if number[6:7] != separator or number[:3] in (b"000", b"666"):
        return None
    if re.match(rb"[\d*][.\-]", before) or re.match(rb"[.\-]\d", after):
        return None
    return found(start, end, b"***%b**%b****" % (separator, separator))


def look_at_phone(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """A telephone number with its country code: its last two digits are kept."""
    del end
    number = _PHONE.match(text, start, start + 3 * _MOST_DIGITS)
    if number is None or _continues_word(text, start, floor):
        return None
    if re.compile(rb"[0-9A-Za-z]|[.\-]\d|\*{3}").match(text, number.end()):
        return None
    return found(start, number.end(), keep_last(number.group(), _KEPT))


def _continues_word(text: bytes, start: int, floor: int) -> bool:
    """Whether a letter is before this that is not the end of an escape."""
    return text[max(floor, start - 1) : start].isalpha() and not ENDS_ESCAPE.search(text[max(0, start - 6) : start])


SSN = Detector(Category.SSN, WORD_BEGINS + rb"\d{3}[ \-]\d{2}[ \-]\d{4}\b", look_at_ssn)
PHONE = Detector(Category.PHONE, rb"\+[1-9](?:[ .\-()]{0,2}\d){7}", look_at_phone)
