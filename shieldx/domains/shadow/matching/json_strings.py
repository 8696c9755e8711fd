"""Strings of a JSON body as bytes."""

from __future__ import annotations

import json
import re
from typing import Final

MAX_REPAIRS: Final = 20_000
"""Maximum number of escapes that are decoded one by one, each of which costs about 1 µs."""

_ESCAPE: Final = rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
_VALID: Final = re.compile(rb'[^"\\]*+(?:' + _ESCAPE + rb'[^"\\]*+)*+')
_RUN: Final = re.compile(rb"(?:" + _ESCAPE + rb")++")
_UNPAIRED: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates that do not stand for a byte."""
_decode: Final = json.JSONDecoder(strict=False).decode


def as_bytes(text: str) -> bytes:
    """UTF-8, or the original bytes if they were not UTF-8; a question mark for an unpaired surrogate."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # an escaped unpaired surrogate
        return _UNPAIRED.sub("?", text).encode("utf-8", "surrogateescape")


class StringDecoder:
    """Decodes what is between the quotes of strings of one body."""

    def __init__(self) -> None:
        self._repairs_left = MAX_REPAIRS

    def decode(self, raw: bytes) -> bytes:
        """The string without its escapes. Those that JSON does not have are kept."""
        if b"\\" not in raw:
            return raw
        if _VALID.fullmatch(raw):
            return _decoded(raw)
        # One more than are left, since a count of 0 would stand for all.
        text, repairs = _RUN.subn(lambda found: _decoded(found[0]), raw, count=self._repairs_left + 1)
        self._repairs_left = max(0, self._repairs_left - repairs)
        return text


def _decoded(raw: bytes) -> bytes:
    text: str = _decode('"' + raw.decode("utf-8", "surrogateescape") + '"')
    return as_bytes(text)
