"""Finds international bank account numbers, and checks them."""

from __future__ import annotations

import re

from shieldx.privacy.categories import Category
from shieldx.privacy.detection import WORD_BEGINS, Detector, Finding, found, keep_last, word_at

LENGTHS = {
    country: int(length)
    for country, length in re.findall(
        r"([A-Z]{2})(\d\d)",
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 "
        "EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 "
        "KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 "
        "PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 "
        "UA29 VA22 VG24 XK20 YE30",
    )
}
"""Characters of an IBAN by country: SWIFT's IBAN registry, release 99."""
_RUN = re.compile(rb"[A-Z0-9]{4}(?:[ \-]?[A-Z0-9]{1,4})*")
_MOST_BYTES = 34 * 2
_KEPT = 4


def is_iban(text: str) -> bool:
    """Whether a text without separators is an IBAN: country, length and the check digits of ISO 7064."""
    if not (text.isascii() and text.isalnum() and text.isupper()) or LENGTHS.get(text[:2]) != len(text):
        return False
    digits = "".join(str(int(character, 36)) for character in text[4:] + text[:4])
    return int(digits) % 97 == 1


def look(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """An IBAN that begins here: its country and its last four characters are kept."""
    del end, floor
    start = word_at(text, start)
    length = LENGTHS.get(text[start : start + 2].decode())
    run = _RUN.match(text, start, start + _MOST_BYTES)
    if length is None or run is None:
        return None
    places = [place for place, byte in enumerate(run.group()) if byte not in b" -"]
    if len(places) < length:
        return None
    stop = start + places[length - 1] + 1
    number = text[start:stop]
    if re.compile(rb"[0-9A-Za-z]|\*{3}").match(text, stop) or not is_iban(re.sub(rb"[ \-]", b"", number).decode()):
        return None
    return found(start, stop, number[:2] + keep_last(number[2:], _KEPT))


DETECTOR = Detector(Category.IBAN, WORD_BEGINS + rb"[A-Z]{2}\d{2}(?:[ \-]?[A-Z0-9]{4}){2}[ \-]?[A-Z0-9]{3}", look)
