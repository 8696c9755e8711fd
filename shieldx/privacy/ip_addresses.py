"""Finds IP addresses. What says which network is kept, what says which host is not."""

from __future__ import annotations

import re

from shieldx.privacy.categories import Category
from shieldx.privacy.detection import ENDS_ESCAPE, WORD_BEGINS, Detector, Finding, behind_escape, found, word_at

_NOT_127 = rb"(?:[1-9]?\d|1[013-9]\d|12[0-689]|2[0-4]\d|25[0-5])"
_DOTTED = re.compile(rb"\d+(?:\.\d+)*")
_COLONS = re.compile(rb"(?:[0-9A-Fa-f]*:)+(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*)")
_MOST_BYTES = 45
_HEX_OR_COLON = b"0123456789abcdefABCDEF:"
_MASKED = re.compile(rb"\*[ .+\-]?\Z")
_OCTETS = 4
_GROUPS = 8


def look_at_ipv4(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """An IPv4 address: its first two numbers are kept. `0.0.0.0` and `127.…` name no host and stay."""
    del floor
    start = word_at(text, start)
    dotted = _DOTTED.match(text, start, end + _MOST_BYTES)
    if dotted is None or text[max(0, start - 1) : start] == b".":
        return None
    numbers = dotted.group().split(b".")
    if len(numbers) != _OCTETS:
        return Finding((), dotted.end())
    if numbers == [b"0"] * _OCTETS or any(int(number) > 255 for number in numbers):  # noqa: PLR2004 - an octet
        return None
    return found(start, end, b".".join(numbers[:2]) + b".*.*")


def look_at_ipv6(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """An IPv6 address: its first two groups are kept. `::` and `::1` stay.

    Names in C++ and Rust look alike: what contains no digit, or continues a word, is not an address.
    """
    del end
    start = word_at(text, start)
    before = text[max(floor, start - _MOST_BYTES) : start]
    first = start - len(before) + len(before.rstrip(_HEX_OR_COLON))
    if text[max(0, first - 1) : first] in (b"u", b"x"):
        first = max(first, behind_escape(text, first - 1, start + 1))
    if (first == floor and text[max(0, floor - 1) : floor].isalnum()) or _MASKED.search(
        text[max(floor, first - 2) : first]
    ):
        return None  # the rest of a number that is masked
    address = _COLONS.match(text, first, first + _MOST_BYTES)
    if address is None or not _is_whole(text, first, address.end()):
        return None
    masked = masked_ipv6(address.group())
    return None if masked is None else found(first, address.end(), masked)


def masked_ipv6(address: bytes) -> bytes | None:
    """An address with all but its first two groups hidden; `None` for text that is no address, `::` and `::1`."""
    groups = address.split(b":")
    tail = groups.pop() if b"." in groups[-1] else None
    if not all(len(group) <= 4 for group in groups) or address.count(b"::") > 1 or b":::" in address:  # noqa: PLR2004
        return None
    given = sum(bool(group) for group in groups) + (2 if tail else 0)
    if given != _GROUPS if b"::" not in address else given >= _GROUPS or not re.search(rb"\d", address):
        return None
    if tail is not None:
        numbers = tail.split(b".")
        return None if numbers[0] == b"127" else address[: -len(tail)] + b".".join(numbers[:2]) + b".*.*"
    if not any(group.strip(b"0") for group in groups[:-1]) and groups[-1].strip(b"0") in (b"", b"1"):
        return None
    return b":".join(groups[:2]) + b":*"


def _is_whole(text: bytes, start: int, end: int) -> bool:
    before, after = text[max(0, start - 1) : start], text[end : end + 2]
    begins = not re.match(rb"[\w*]", before) or ENDS_ESCAPE.search(text[max(0, start - 6) : start])
    return bool(begins) and not re.match(rb"[\w*]|\.\d", after)


IPV4 = Detector(Category.IP_ADDRESS, WORD_BEGINS + _NOT_127 + rb"(?:\.\d{1,3}){3}\b", look_at_ipv4)
IPV6 = Detector(
    Category.IP_ADDRESS,
    rb"::[0-9A-Fa-f]|[0-9A-Fa-f]::|" + WORD_BEGINS + rb"(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b",
    look_at_ipv6,
)
