"""Masks a text that comes in pieces, with bounded memory."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shieldx.privacy.detection import Edit
    from shieldx.privacy.pem import PemBodies

LINE_LIMIT_BYTES = 64 * 1024
"""A longer line is masked in parts. They are cut at the same places however the text comes."""
_SEEN_BEYOND_CUT_BYTES = 1024
"""What is looked at behind a cut, so that what begins before it is recognised."""
_BEFORE_EDIT_BYTES = 80
"""Of a name in front of a value."""
_CONTINUING = bytes(range(0x80, 0xC0))
"""Bytes of a character of UTF-8 but its first."""
_CALM = re.compile(rb"[^\d\s=:][,;& \t](?=[^\d\s=:])")


class StreamMasker:
    """Masks what is fed to it. All of it, put together, is what masking the whole text gives.

    It holds back a line until its end, or 64 KiB of it.
    """

    def __init__(
        self,
        edits: Callable[[bytes], list[Edit]],
        mask_lines: Callable[[bytes], bytes],
        bodies: PemBodies | None,
        line_limit_bytes: int,
    ) -> None:
        self._edits = edits
        self._mask_lines = mask_lines
        self._bodies = bodies
        self._limit = line_limit_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._ends_secret: re.Pattern[bytes] | None = None
        """While inside a secret that is longer than a line may be: what ends it."""

    def feed(self, text: bytes) -> bytes:
        """Take the next piece, and return what is decided by now."""
        self._waiting.append(text)
        self._waiting_bytes += len(text)
        if self._waiting_bytes < self._limit and b"\n" not in text:
            return b""
        out: list[bytes] = []
        self._wait(self._decided(b"".join(self._waiting), out))
        return b"".join(out)

    def close(self) -> bytes:
        """The rest, once nothing more comes."""
        rest = self._after_secret(b"".join(self._waiting))
        self._wait(b"")
        return self._masked(rest)

    def _wait(self, text: bytes) -> None:
        self._waiting, self._waiting_bytes = [text], len(text)

    def _decided(self, text: bytes, out: list[bytes]) -> bytes:
        """Mask all whole lines, and parts of longer ones; what remains is returned."""
        while text := self._after_secret(text):
            if end := end_of_short_lines(text, self._limit):
                out.append(self._masked(text[:end]))
                text = text[end:]
            if len(text) < self._limit:
                break
            cut = self._cut(text[: self._limit])
            out.append(self._masked(text[:cut]))
            text = text[cut:]
        return text

    def _masked(self, text: bytes) -> bytes:
        if self._bodies is not None:
            text = self._bodies.mask(text)
        return self._mask_lines(text)

    def _after_secret(self, text: bytes) -> bytes:
        """Drop the rest of a secret that is longer than a line may be."""
        if self._ends_secret is None:
            return text
        if end := self._ends_secret.search(text):
            self._ends_secret = None
            return text[end.start() :]
        return text[-1:] if text.endswith(b"\\") else b""

    def _cut(self, part: bytes) -> int:
        """Where to cut a line of which this is the beginning: apart from everything that is masked in it."""
        edits = self._edits(part)
        ends = [edit.end for edit in edits]
        last = len(part) - min(_SEEN_BEYOND_CUT_BYTES, len(part) // 2)
        last = _begin_of_character(part, last)

        def crossing(cut: int) -> Edit | None:
            after = bisect_right(ends, cut)
            found = edits[after] if after < len(edits) else None
            return found if found is not None and found.start - _BEFORE_EDIT_BYTES < cut else None

        for calm in reversed(list(_CALM.finditer(part, last - last // 4, last))):
            if crossing(calm.start() + 2) is None:
                return calm.start() + 2
        if edit := crossing(last):
            if apart := _begin_of_character(part, max(0, edit.start - _BEFORE_EDIT_BYTES)):
                return apart
            if edit.end == len(part):
                self._ends_secret = _end_of_secret(part[max(0, edit.start - 1) : edit.start])
            return max(edit.end, 1)
        return last


def end_of_short_lines(text: bytes, limit: int) -> int:
    """Where the last of the whole lines ends that come before any line of more than `limit` bytes."""
    at = 0
    while end := text.rfind(b"\n", at, at + limit) + 1:
        at = end
    return at


def applied(text: bytes, edits: Sequence[Edit]) -> bytes:
    """The text with its edits made."""
    if not edits:
        return text
    parts: list[bytes] = []
    at = 0
    for edit in edits:
        parts += (text[at : edit.start], edit.replacement)
        at = edit.end
    return b"".join((*parts, text[at:]))


def _begin_of_character(text: bytes, at: int) -> int:
    """The byte at or before this one that begins a character of UTF-8; in other text, at most 3 bytes before."""
    before = text[max(0, at - 3) : at + 1]
    return at - len(before) + len(before.rstrip(_CONTINUING)) if before[-1] in _CONTINUING else at


def _end_of_secret(before: bytes) -> re.Pattern[bytes]:
    """What ends a secret, by the byte before it: a quote, or all that ends a word."""
    return re.compile(rb"(?<!\\)%b|\n" % before if before in (b'"', b"'") else rb"[\s\"'<>&,;]")
