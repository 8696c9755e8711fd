"""The boundary of a multipart body, in the ways in which servers read it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from shieldx.domains.shadow.matching.header_parameters import ParameterReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_BOUNDARIES: Final = 4
"""Maximum number of boundaries by which a body is divided: the first two and the last two, as each takes its time."""

_READER: Final = ParameterReader("boundary")
_USUAL: Final = re.compile(rb"multipart/form-data;[ \t]*+boundary=([A-Za-z0-9'+_.\-]++)", re.IGNORECASE)
_END_OF_WORD: Final = re.compile(rb"[,\s]")


def boundaries_of(content_types: Iterable[bytes], body: bytes) -> list[bytes]:
    """The distinct boundaries that occur in the body, in the order in which the headers name them."""
    named = dict.fromkeys(name for content_type in content_types for name in _named(content_type))
    found = [boundary for boundary in named if boundary and b"--" + boundary in body]
    return found if len(found) <= MAX_BOUNDARIES else [*found[:2], *found[-2:]]


def _named(content_type: bytes) -> Iterator[bytes]:
    usual = _USUAL.fullmatch(content_type)
    if usual is not None:
        yield usual[1]
        return
    for reading in (reading for way in _READER.read(content_type) for reading in way[b"boundary"]):
        # Of `a b` or `a, b` ModSecurity takes all, others take the first word.
        yield _END_OF_WORD.split(reading, maxsplit=1)[0]
        yield reading.rstrip()
