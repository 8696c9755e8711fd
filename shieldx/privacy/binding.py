"""Encodes what a ciphertext, a wrapped key or a pseudonym is bound to, so that no two bindings have the same bytes."""

from __future__ import annotations

from struct import Struct

_length = Struct(">I").pack


def bound_to(context: bytes, *parts: str) -> bytes:
    """A constant context with a version, then each part as `delimited` gives it. Injective for a given context."""
    return context + b"".join(map(delimited, parts))


def delimited(part: str) -> bytes:
    """The length of a part in bytes (unsigned, 32 bits, big-endian), then its UTF-8."""
    encoded = part.encode()
    return _length(len(encoded)) + encoded
