"""Finds what the magnetic stripe of a card says: tracks 1 and 2 of ISO/IEC 7813."""

from __future__ import annotations

import re

from shieldx.privacy.card_numbers import keep_last_digits
from shieldx.privacy.categories import Category
from shieldx.privacy.detection import MASK, Detector, Edit, Finding

_TRACK_1 = re.compile(rb"%?[Bb]([\d ]+)\^([^\^]+)\^([^?\s\"'\\<>&,;]*)")
_TRACK_2 = re.compile(rb";(\d+)=(\d+)")


def look_at_track_1(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """Number, name, and the rest with its expiry and security code: the last four digits of the number are kept."""
    del end, floor
    return _masked(_TRACK_1.match(text, start))


def look_at_track_2(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """Number, and the rest with its expiry and security code."""
    del end, floor
    return _masked(_TRACK_2.match(text, start))


def _masked(track: re.Match[bytes] | None) -> Finding | None:
    if track is None:
        return None
    edits = [Edit(*track.span(1), keep_last_digits(track.group(1)))]
    edits += [Edit(*track.span(part), MASK) for part in range(2, track.re.groups + 1) if track.group(part)]
    return Finding(tuple(edits), edits[-1].end)


TRACK_1 = Detector(Category.CARD, rb"%?[Bb]\d(?: ?\d){12,18}\^[^\^\"'<>\\]{2,40}\^", look_at_track_1)
TRACK_2 = Detector(Category.CARD, rb";\d{13,19}=\d\d(?:0[1-9]|1[0-2])", look_at_track_2)
