"""Cookies of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_IGNORED: Final = bytes((*range(0x21), 0x7F))
"""Spaces and control characters around names and values, which RFC 6265 allows in neither."""


def read_cookies(headers: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Names and values, not decoded. As in Coraza, a cookie without a name has an empty one."""
    pairs = []
    for header in headers:
        for piece in header.split(b";"):
            name, _, value = piece.partition(b"=")
            name, value = name.strip(_IGNORED), value.strip(_IGNORED)
            if name or value:
                pairs.append((name, value))
    return pairs
