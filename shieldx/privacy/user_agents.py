"""Hides all of a user agent but the name of the product."""

from __future__ import annotations

import re

from shieldx.privacy.categories import Category
from shieldx.privacy.detection import MASK, Detector, Finding, found

_PRODUCT = re.compile(rb"[A-Za-z][A-Za-z0-9_.\-]{0,63}(?=[/ ])")
_BARE = re.compile(
    rb"Mozilla/[\d.]+(?:[ +](?:\([^()\"\n\\]{0,512}\)|like Gecko|[A-Za-z][\w.\-]{0,63}/\d[\w.\-]{0,63})){1,32}"
)
_QUOTED = re.compile(rb"[^\"\n]*")


def masked_user_agent(value: bytes) -> bytes:
    """`curl/8.5.0` becomes `curl/***`; what does not begin with a product becomes `***`."""
    product = _PRODUCT.match(value)
    return MASK if product is None else product.group() + b"/" + MASK


def look(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """A user agent of a browser: quoted, as in the combined log format, or bare."""
    del end, floor
    begin = text.index(b"M", start)
    value = (_BARE if begin == start else _QUOTED).match(text, begin)
    if value is None:
        return None
    stop = begin + len(value.group().rstrip(b"\\"))
    return found(begin, stop, masked_user_agent(text[begin:stop]))


DETECTOR = Detector(Category.USER_AGENT, rb'"Mozilla/|\bMozilla/\d', look)
