"""Looks into text that is URL-encoded, HTML-encoded or in base64, one level deep."""

from __future__ import annotations

import base64
import binascii
import html
import re
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from shieldx.privacy.detection import WORD_BEGINS, Detector, Edit, Finding, word_at

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 16 * 1024
"""Of encoded text that is decoded at once; longer text is decoded in pieces."""
_MOST_BYTES_BEFORE = 1024
_ESCAPED_BYTE = re.compile(rb"%[0-9A-Fa-f]{2}|\+(?![1-9])")
_TOKEN = re.compile(rb"[^\s\"'<>]+")
_TOKEN_BYTES = bytes(set(range(256)) - set(b" \t\n\r\v\f\"'<>"))
_ENTITY = re.compile(rb"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});")
_MARKUP_TEXT = re.compile(rb"[^<>\n]+")
_MARKUP_TEXT_BYTES = bytes(set(range(256)) - set(b"<>\n"))
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-]+={0,2}")
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Base64 of text is recognisable: four characters encode three bytes, and the upper bits of ASCII are few.
_OF_TEXT = rb"[C-DI-Za-f][AC-HQS-Xgi-nwy-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_\-]"


class Encodings:
    """Decodes what looks encoded, and masks in it.

    Args:
        edits: finds what to change in a decoded text.
        mask: masks a decoded text as a whole, PEM blocks over several lines included.
    """

    def __init__(self, edits: Callable[[bytes], list[Edit]], mask: Callable[[bytes], bytes]) -> None:
        self._edits = edits
        self._mask = mask

    def detectors(self) -> tuple[Detector, ...]:
        """Detectors of encoded text."""
        return (
            Detector(None, rb"%[0-9A-Fa-f]{2}", self._look_at_url),
            Detector(
                None,
                rb"&(?:#\d{2,7}|#[xX][0-9A-Fa-f]{2,6}|amp|apos|at|commat|colon|equals|gt|lt|nbsp|period|plus|quot);",
                self._look_at_html,
            ),
            Detector(None, WORD_BEGINS + rb"(?:" + _OF_TEXT + rb"){4}", self._look_at_base64),
        )

    def _look_at_url(self, text: bytes, start: int, end: int, floor: int) -> Finding:
        begin = _begin(text, start, floor, _TOKEN_BYTES)
        token = _TOKEN.match(text, begin, start + MOST_BYTES)
        stop = token.end() if token else end
        if stop < len(text) and (cut := re.search(rb"%[0-9A-Fa-f]?\Z", text[begin:stop])):
            stop = begin + cut.start()  # an escaped byte is not cut in two
        return self._within(text, begin, max(stop, end), _ESCAPED_BYTE, _unescaped_byte, _url_escaped)

    def _look_at_html(self, text: bytes, start: int, end: int, floor: int) -> Finding:
        begin = _begin(text, start, floor, _MARKUP_TEXT_BYTES)
        piece = _MARKUP_TEXT.match(text, begin, start + MOST_BYTES)
        return self._within(text, begin, max(piece.end() if piece else end, end), _ENTITY, _character, _html_escaped)

    def _within(
        self,
        text: bytes,
        begin: int,
        end: int,
        escape: re.Pattern[bytes],
        decode: Callable[[bytes], bytes],
        encode: Callable[[bytes], bytes],
    ) -> Finding:
        """Edits of the encoded text, each where the decoded text has one."""
        decoded = escape.sub(lambda found: decode(found.group()), text[begin:end])
        edits = self._edits(decoded)
        if not edits:
            return Finding((), begin, end)
        places = _places(text, begin, end, escape, decode)
        decoded_edits = [
            Edit(places[edit.start], places[edit.end], edit.replacement)
            for edit in edits
            if not text.endswith(
                b"://", begin, places[edit.start]
            )  # the user of a URL ends at an @ that is not encoded
        ]
        as_it_is = [
            Edit(edit.start + begin, edit.end + begin, edit.replacement) for edit in self._edits(text[begin:end])
        ]
        every = _together(decoded_edits, as_it_is, encode)
        return Finding(every, every[-1].end if every else begin, end)

    def _look_at_base64(self, text: bytes, start: int, end: int, floor: int) -> Finding | None:
        del end, floor
        start = word_at(text, start)
        run = _BASE64.match(text, start, start + MOST_BYTES)
        if run is None or text[max(0, start - 1) : start] in _INSIDE_BASE64:
            return None
        given = run.group()
        decoded = _from_base64(given)
        masked = decoded if decoded is None else self._mask(decoded)
        if masked is None or masked == decoded:
            return Finding((), start, run.end())
        return Finding((Edit(start, run.end(), _to_base64(masked, given)),), run.end(), run.end())


_INSIDE_BASE64 = (b"-", b"+")


def _begin(text: bytes, start: int, floor: int, characters: bytes) -> int:
    before = text[max(floor, start - _MOST_BYTES_BEFORE) : start]
    return start - len(before) + len(before.rstrip(characters))


def _places(
    text: bytes, begin: int, end: int, escape: re.Pattern[bytes], decode: Callable[[bytes], bytes]
) -> list[int]:
    """For each byte of the decoded text, and its end, where it is in the encoded one."""
    lengths: list[int] = []
    at = begin
    for found in escape.finditer(text, begin, end):
        lengths += [1] * (found.start() - at)
        size = len(decode(found.group()))
        lengths += [len(found.group()) - (size - 1), *[1] * (size - 1)]
        at = found.end()
    return list(accumulate([*lengths, *[1] * (end - at)], initial=begin))


def _together(edits: list[Edit], as_it_is: list[Edit], encode: Callable[[bytes], bytes]) -> tuple[Edit, ...]:
    """All edits of the decoded text, and those of the text as it is that are apart from them.

    What both change in the same way is not encoded: around it, the text is as it is.
    """
    starts = [edit.start for edit in edits]
    both = set(as_it_is)
    every = [edit if edit in both else edit._replace(replacement=encode(edit.replacement)) for edit in edits]
    for edit in as_it_is:
        after = bisect_left(starts, edit.end)
        if after == 0 or edits[after - 1].end <= edit.start:
            every.append(edit)
    return tuple(sorted(every))


def _unescaped_byte(escaped: bytes) -> bytes:
    return b" " if escaped == b"+" else bytes((int(escaped[1:], 16),))


def _url_escaped(text: bytes) -> bytes:
    return quote_from_bytes(text, safe="*").encode()


def _character(entity: bytes) -> bytes:
    character = html.unescape(entity.decode())
    return b" " if character == "\xa0" else character.encode("utf-8", "replace")


def _html_escaped(text: bytes) -> bytes:
    return text.replace(b'"', b"&quot;")


def _from_base64(given: bytes) -> bytes | None:
    """What a run encodes, if that is text in UTF-8."""
    digits = given.rstrip(b"=").translate(_STANDARD)
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    try:
        decoded = base64.b64decode(digits + b"=" * (-len(digits) % 4))
        decoded.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return None if _CONTROLS.search(decoded) else decoded


def _to_base64(text: bytes, given: bytes) -> bytes:
    """In the alphabet of the run that was given, with padding if that has it."""
    urlsafe = b"-" in given or b"_" in given
    encoded = base64.urlsafe_b64encode(text) if urlsafe else base64.b64encode(text)
    return encoded if given.endswith(b"=") or len(given) % 4 == 0 else encoded.rstrip(b"=")


_STANDARD = bytes.maketrans(b"-_", b"+/")
