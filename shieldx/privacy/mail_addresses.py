"""Finds what is before an `@`: the local part of an e-mail address, and the user and password of a URL."""

from __future__ import annotations

import re

from shieldx.privacy.categories import Category
from shieldx.privacy.detection import MASK, Detector, Edit, Finding, behind_escape, found

_LOCAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-" + bytes(range(0x80, 0x100))
_LOCAL_MOST_BYTES = 64
_DOMAIN = re.compile(rb"(?:[A-Za-z0-9\x80-\xff][A-Za-z0-9\-\x80-\xff]*\.)+[A-Za-z\x80-\xff][A-Za-z0-9\-\x80-\xff]+")
_DOMAIN_MOST_BYTES = 255
_AUTHORITY_MOST_BYTES = 1024
_OUTSIDE_AUTHORITY = re.compile(rb"[\s/?#\"'<>\\]")
_MASKED = re.compile(rb"\*{3}[ .+\-]?\*{0,3}(?:[0-9A-Za-z][ .+\-]?){0,4}\Z")
"""The rest of a masked number, which is no local part."""
_KEPT = 2


def look_at_mail(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """An e-mail address: the first two characters of its local part are kept, and its domain."""
    at = end - 2
    del start
    before = text[max(floor, at - _LOCAL_MOST_BYTES) : at]
    local = behind_escape(text, at - len(before) + len(before.rstrip(_LOCAL)), at)
    domain = _DOMAIN.match(text, at + 1, at + 1 + _DOMAIN_MOST_BYTES)
    if local == at or _MASKED.search(before) or domain is None:
        return None
    hidden = _after_characters(text, local, at)
    return Finding((Edit(hidden, at, MASK),), at + 1)


def _after_characters(text: bytes, start: int, end: int) -> int:
    """Where the part to hide begins: behind two characters, or fewer if nothing would be hidden behind them."""
    begins = [place for place in range(start, end) if text[place] & 0xC0 != 0x80]  # noqa: PLR2004 - of UTF-8
    return begins[min(_KEPT, len(begins) - 1)] if begins else end


def look_at_url(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """User and password of a URL, up to its last `@`: nothing of them is kept."""
    del start, floor
    authority = text[end : end + _AUTHORITY_MOST_BYTES]
    if outside := _OUTSIDE_AUTHORITY.search(authority):
        authority = authority[: outside.start()]
    at = authority.rfind(b"@")
    user = authority[: max(0, at)]
    if not user or (user != MASK and _MASKED.search(user)):
        return Finding((), end)
    return found(end, end + at)


MAIL = Detector(Category.EMAIL, rb"[A-Za-z0-9._%+\-\x80-\xff]@[A-Za-z0-9\x80-\xff]", look_at_mail)
URL_USER = Detector(Category.URL_USER, rb"://", look_at_url)
