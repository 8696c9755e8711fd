"""Arguments of a query or a form."""

from __future__ import annotations

from typing import Final

from shieldx.domains.shadow.matching.escapes import form_decode

MAX_ARGUMENTS: Final = 20_000
"""Maximum number of separate arguments: each costs about 0.3 µs, and a megabyte of `a&` has half a million."""

Pairs = list[tuple[bytes, bytes]]


def read_form(text: bytes) -> Pairs:
    """Names and values, decoded once. Everything after the last separate argument becomes one more value."""
    pieces = text.split(b"&", MAX_ARGUMENTS)
    pairs = [(name, value) for name, _, value in [piece.partition(b"=") for piece in pieces if piece]]
    if b"%" not in text and b"+" not in text:
        return pairs
    return [(form_decode(name), form_decode(value)) for name, value in pairs]
