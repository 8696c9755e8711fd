"""Decodes values with many escapes using numpy: like `escapes`, but the time hardly depends on their number.

Each function finds the start, end and decoded byte of all escapes at once.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

# ruff: noqa: PLR2004 - the compared figures are bytes, code points and digit counts, and stand for themselves

_PADDING: Final = bytes(8)
"""Zero bytes are not part of any escape, so looking beyond the end finds none there."""


def _values(digits: bytes, base: int) -> npt.NDArray[np.int16]:
    table = np.full(256, -1, np.int16)
    for digit in digits:
        table[digit] = int(bytes((digit,)), base)
    return table


def _members(characters: bytes) -> Flags:
    table = np.zeros(256, np.bool_)
    table[list(characters)] = True
    return table


_HEX: Final = _values(b"0123456789abcdefABCDEF", 16)
_OCTAL: Final = _values(b"01234567", 8)
_DIGIT: Final = _members(b"0123456789")
_ALPHANUMERIC: Final = _members(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ENTITY_START: Final = _ALPHANUMERIC | _members(b"#")
_SPACE: Final = _members(b" \t\n\v\f\r")
_ESCAPED: Final = np.arange(256, dtype=np.uint8)
_ESCAPED[list(b"abfnrtv")] = list(b"\a\b\f\n\r\t\v")
_ENTITIES: Final = {b"quot": 0x22, b"amp": 0x26, b"lt": 0x3C, b"gt": 0x3E, b"nbsp": 0xA0}


def _padded(value: bytes) -> Bytes:
    return np.frombuffer(value + _PADDING, np.uint8)


def _where(data: Bytes, mark: bytes) -> Numbers:
    return np.flatnonzero(data == mark[0])


def _replaced(data: Bytes, starts: Numbers, ends: Numbers, replacements: npt.NDArray[np.integer]) -> bytes:
    """The data with each range [start, end) replaced by one byte."""
    result = data.copy()
    result[starts] = replacements.astype(np.uint8)
    inside = np.zeros(len(data) + 1, np.int8)
    inside[starts + 1] += 1
    inside[ends] -= 1
    inside.cumsum(out=inside)
    kept: Bytes = result[: -len(_PADDING)][inside[: -len(_PADDING) - 1] == 0]
    return kept.tobytes()


def _hex_byte(data: Bytes, at: Numbers) -> npt.NDArray[np.int16]:
    """The byte for two hexadecimal digits; negative if the digits are invalid."""
    high, low = _HEX[data[at]], _HEX[data[at + 1]]
    return np.where((high >= 0) & (low >= 0), high * 16 + low, -1)


def _narrow(high: npt.NDArray[np.int16], low: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """The low byte; full-width ASCII (ff01 to ff5e) becomes the ASCII character that it resembles."""
    return low + np.where((high == 0xFF) & (low > 0) & (low < 0x5F), 0x20, 0).astype(np.int16)


def percent_decode(value: bytes) -> bytes:
    """%XX."""
    data = _padded(value)
    starts = _where(data, b"%")
    code = _hex_byte(data, starts + 1)
    valid = code >= 0
    starts = starts[valid]
    return _replaced(data, starts, starts + 3, code[valid])


def url_decode(value: bytes) -> bytes:
    """%XX and %uXXXX."""
    data = _padded(value)
    starts = _where(data, b"%")
    byte = _hex_byte(data, starts + 1)
    high, low = _hex_byte(data, starts + 2), _hex_byte(data, starts + 4)
    wide = ((data[starts + 1] | 0x20) == ord("u")) & (high >= 0) & (low >= 0)
    valid = (byte >= 0) | wide
    code = np.where(wide, _narrow(high, low), byte)
    return _replaced(data, starts[valid], (starts + np.where(wide, 6, 3))[valid], code[valid])


def _run_ends(members: Flags, starts: Numbers) -> Numbers:
    """The end of the run of members that begins at each start; the start itself if the run is empty."""
    others = np.flatnonzero(~members)
    found: Numbers = others[np.searchsorted(others, starts)]
    return found


def html_entity_decode(value: bytes) -> bytes:
    """Decode &name;, &#NN; and &#xHH; with an optional semicolon, keeping the low byte."""
    data = _padded(value)
    starts = _where(data, b"&")
    starts = starts[_ENTITY_START[data[starts + 1]]]
    numeric = data[starts + 1] == ord("#")
    hexadecimal = numeric & ((data[starts + 2] | 0x20) == ord("x"))
    first = starts + 1 + numeric + hexadecimal
    code = np.full(len(starts), -1, np.int64)
    ends = first.copy()
    for chosen, members, decode in (
        (~numeric, _ALPHANUMERIC, _named),
        (hexadecimal, _HEX >= 0, _hexadecimal),
        (numeric & ~hexadecimal, _DIGIT, _decimal),
    ):
        run_ends = _run_ends(members[data], first[chosen])
        ends[chosen] = run_ends
        code[chosen] = decode(data, first[chosen], run_ends)
    valid = (code >= 0) & (ends > first)
    ends += data[ends] == ord(";")
    return _replaced(data, starts[valid], ends[valid], code[valid] & 0xFF)


def _named(data: Bytes, first: Numbers, ends: Numbers) -> npt.NDArray[np.int64]:
    code = np.full(len(first), -1, np.int64)
    for name, byte in _ENTITIES.items():
        same = ends - first == len(name)
        for place, character in enumerate(name):
            same &= (data[first + place] | 0x20) == character
        code[same] = byte
    return code


def _hexadecimal(data: Bytes, first: Numbers, ends: Numbers) -> npt.NDArray[np.int64]:
    high = np.where(ends - first > 1, _HEX[data[ends - 2]], 0)
    code: npt.NDArray[np.int64] = _HEX[data[ends - 1]].astype(np.int64) + 16 * high
    return code


def _decimal(data: Bytes, first: Numbers, ends: Numbers) -> npt.NDArray[np.int64]:
    code = np.zeros(len(first), np.int64)
    for place in range(8):  # 10**8 is a multiple of 256, so earlier digits do not affect the low byte
        at = ends - 1 - place
        code += np.where(at >= first, data[at].astype(np.int64) - ord("0"), 0) * 10**place
    return code


def _backslashes(data: Bytes) -> Numbers:
    """The starts of escapes: in a run of backslashes the first, third and so on, since the others are escaped."""
    found = _where(data, b"\\")
    begins = np.ones(len(found), np.bool_)
    begins[1:] = found[1:] != found[:-1] + 1
    run_start = np.maximum.accumulate(np.where(begins, found, 0))
    starts: Numbers = found[(found - run_start) % 2 == 0]
    return starts


def _before_the_end(data: Bytes, starts: Numbers) -> Numbers:
    return starts[starts + 1 < len(data) - len(_PADDING)]


def _octal(data: Bytes, starts: Numbers) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    return _OCTAL[data[starts + 1]], _OCTAL[data[starts + 2]], _OCTAL[data[starts + 3]]


def js_decode(value: bytes) -> bytes:
    r"""\uXXXX, \xXX, \OOO up to \377, and single characters."""
    data = _padded(value)
    starts = _before_the_end(data, _backslashes(data))
    kind = data[starts + 1]
    byte, low = _hex_byte(data, starts + 2), _hex_byte(data, starts + 4)
    first, second, third = _octal(data, starts)
    two = second >= 0
    three = two & (third >= 0) & (first <= 3)
    octal = np.where(three, first * 64 + second * 8 + third, np.where(two, first * 8 + second, first))
    cases = [(kind == ord("u")) & (byte >= 0) & (low >= 0), (kind == ord("x")) & (byte >= 0), first >= 0]
    code = np.select(cases, [_narrow(byte, low), byte, octal], _ESCAPED[kind])
    lengths = np.select(cases, [np.intp(6), np.intp(4), 2 + two.astype(np.intp) + three], np.intp(2))
    return _replaced(data, starts, starts + lengths, code)


def escape_sequence_decode(value: bytes) -> bytes:
    r"""\xXX, \OOO and single characters, as in C."""
    data = _padded(value)
    starts = _before_the_end(data, _backslashes(data))
    kind = data[starts + 1]
    byte = _hex_byte(data, starts + 2)
    first, second, third = _octal(data, starts)
    two = second >= 0
    three = two & (third >= 0)
    octal = np.where(three, first * 64 + second * 8 + third, np.where(two, first * 8 + second, first)) & 0xFF
    cases = [((kind | 0x20) == ord("x")) & (byte >= 0), first >= 0]
    code = np.select(cases, [byte, octal], _ESCAPED[kind])
    lengths = np.select(cases, [np.intp(4), 2 + two.astype(np.intp) + three], np.intp(2))
    return _replaced(data, starts, starts + lengths, code)


def css_decode(value: bytes) -> bytes:
    r"""\X to \XXXXXX with one space after, and single characters; a backslash before a newline or the end vanishes."""
    data = _padded(value)
    starts = _backslashes(data)
    digits = np.zeros(len(starts), np.intp)
    running = np.ones(len(starts), np.bool_)
    beyond_16_bits = np.zeros(len(starts), np.bool_)
    for place in range(1, 7):
        running &= _HEX[data[starts + place]] >= 0
        if not running.any():
            break
        digits += running
    for place, length in ((1, 5), (1, 6), (2, 6)):
        beyond_16_bits |= (digits == length) & (data[starts + place] != ord("0"))
    ends = starts + 1 + digits
    low = np.where(digits > 1, _hex_byte(data, ends - 2), _HEX[data[ends - 1]])
    high = np.where((digits > 3) & ~beyond_16_bits, _hex_byte(data, np.maximum(ends - 4, 0)), 0).astype(np.int16)
    escaped = digits > 0
    code = np.where(escaped, _narrow(high, low), data[starts + 1])
    ends = np.where(escaped, ends + _SPACE[data[ends]], starts + 2)
    return _without_continuations(data, starts, ends, code, escaped)


def _without_continuations(
    data: Bytes, starts: Numbers, ends: Numbers, code: npt.NDArray[np.int16], escaped: Flags
) -> bytes:
    """The data with replacements, and without escapes that stand for nothing (a newline or the end)."""
    last = len(data) - len(_PADDING)
    nothing = ~escaped & ((code == ord("\n")) | (starts + 1 >= last))
    taken_out = np.ones(len(data), np.bool_)
    taken_out[starts[nothing]] = False
    taken_out[(starts[nothing] + 1)[starts[nothing] + 1 < last]] = False
    kept = starts[~nothing]
    moved = np.cumsum(taken_out) - 1
    return _replaced(data[taken_out], moved[kept], moved[ends[~nothing] - 1] + 1, code[~nothing])


def utf8_to_unicode(value: bytes) -> bytes:
    """Non-ASCII UTF-8 sequences as %uXXXX, including overlong ones; invalid bytes are kept."""
    data = _padded(value)
    follows = (data & 0xC0) == 0x80
    code = data.astype(np.int32)
    taken = np.ones(len(data), np.int8)
    for length, low, high in ((2, 0xC0, 0xDF), (3, 0xE0, 0xEF), (4, 0xF0, 0xF4)):
        starts = np.flatnonzero((data >= low) & (data <= high))
        for place in range(1, length):
            starts = starts[follows[starts + place]]
        sequence = (data[starts] & (0xFF >> (length + 1))).astype(np.int32)
        for place in range(1, length):
            sequence = sequence << 6 | (data[starts + place] & 0x3F)
            taken[starts + place] = 0
        code[starts], taken[starts] = sequence, 2
    count = len(data) - len(_PADDING)
    code, taken = code[:count], taken[:count]
    return _written(code[taken > 0], taken[taken > 0] == 2)


def _written(code: npt.NDArray[np.int32], escaped: Flags) -> bytes:
    digits = np.maximum(4, 4 + (code >= 0x10000).astype(np.intp) + (code >= 0x100000))
    lengths = np.where(escaped, 2 + digits, 1)
    starts = np.cumsum(lengths) - lengths
    result = np.zeros(int(lengths.sum()), np.uint8)
    result[starts] = np.where(escaped, ord("%"), code)
    starts, code, digits = starts[escaped], code[escaped], digits[escaped]
    result[starts + 1] = ord("u")
    hexadecimal = np.frombuffer(b"0123456789abcdef", np.uint8)
    for place in range(6):
        there = digits > place
        result[(starts + 1 + digits - place)[there]] = hexadecimal[(code[there] >> (4 * place)) & 15]
    return result.tobytes()
