"""Cookies of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_cookies(headers: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Names and values, not decoded. As in ModSecurity, a cookie without a name is ignored."""
    pairs = []
    for header in headers:
        for piece in header.split(b";"):
            name, _, value = piece.strip().partition(b"=")
            if name := name.rstrip():
                pairs.append((name, value))
    return pairs
