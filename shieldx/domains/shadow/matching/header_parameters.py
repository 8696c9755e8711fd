"""Parameters of a header such as `form-data; name="a"; filename*=utf-8''b`, in the ways in which servers read them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from shieldx.domains.shadow.matching.escapes import percent_decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAX_REPETITIONS: Final = 16
"""How often a parameter counts in one header: a megabyte of `;name=` has 110,000."""

_SPACE_OF_2 = rb"\xc2[\x85\xa0]"
_SPACE_OF_3 = rb"\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80"
UNICODE_SPACE: Final = _SPACE_OF_2 + rb"|" + _SPACE_OF_3
"""Spaces beyond ASCII in UTF-8. Go ignores them between the parts of a header, so they separate parts here."""

_SPACES: Final = rb"(?:\s|" + UNICODE_SPACE + rb")*+"
_START: Final = rb"(?:(?<![^\s;,])|(?<=" + _SPACE_OF_2 + rb")|(?<=" + _SPACE_OF_3 + rb"))"
_QUOTED: Final = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"?+'
_SINGLE_QUOTED: Final = rb"'([^'\\]*+(?:\\.[^'\\]*+)*+)'?+"
_NEVER: Final = rb"(never(?!))"
_PLAIN: Final = rb"([^;]*+)"
_ESCAPED_QUOTE: Final = re.compile(rb"\\([\"\\])")
_ESCAPED_SPECIAL: Final = re.compile(rb"\\([()<>@,;:\\\"/\[\]?=])")
_ESCAPED_SINGLE: Final = re.compile(rb"\\(['\\])")


class _Given(NamedTuple):
    """A parameter as it is written."""

    section: bytes
    """Empty, or as in RFC 2231: `*` for an encoded value, `*0` and `*0*` for the first section of a longer one."""
    readings: tuple[bytes, ...]


class ParameterReader:
    """Reads the parameters with some names from headers, and goes on after what is malformed."""

    def __init__(self, *names: str) -> None:
        self._names = tuple(name.encode() for name in names)
        self._with_single_quotes = _patterns(names, _SINGLE_QUOTED)
        self._without_single_quotes = _patterns(names, _NEVER)

    def read(self, header: bytes) -> list[Mapping[bytes, Sequence[bytes]]]:
        """The distinct readings of each parameter by its lower-case name; none if it is not there.

        If there are single quotes, the first result takes them for quotes, as ModSecurity does, and the second one for
        ordinary characters, as Go does. The values in plain form come first, in their order.
        """
        if b"'" not in header:
            return [self._read(header, self._without_single_quotes)]
        return [self._read(header, patterns) for patterns in (self._with_single_quotes, self._without_single_quotes)]

    def _read(self, header: bytes, patterns: Sequence[re.Pattern[bytes]]) -> Mapping[bytes, Sequence[bytes]]:
        wanted, wanted_anywhere = patterns
        # A quote that is not closed hides all that follows, unless nothing is found otherwise.
        found = _given(header, wanted) or _given(header, wanted_anywhere)
        return {name: list(dict.fromkeys(_readings(found.get(name, ())))) for name in self._names}


def _patterns(names: Sequence[str], single_quoted: bytes) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """A pattern that passes over all other parameters with what they have in quotes, and one that does not."""
    name = rf"({'|'.join(names)})(\*[0-9]{{0,3}}+\*?+)?+".encode()
    value = rb"(?:" + b"|".join((_QUOTED, single_quoted, _PLAIN)) + b")"
    wanted = _START + name + _SPACES + rb"=" + _SPACES + value
    flags = re.IGNORECASE | re.DOTALL
    return re.compile(wanted + rb"|" + _QUOTED, flags), re.compile(wanted, flags)


def _given(header: bytes, wanted: re.Pattern[bytes]) -> dict[bytes, list[_Given]]:
    given: dict[bytes, list[_Given]] = {}
    for found in wanted.finditer(header):
        if found[1] is not None:
            same = given.setdefault(found[1].lower(), [])
            if len(same) < MAX_REPETITIONS:
                same.append(_Given(found[2] or b"", _value_readings(found)))
    return given


def _value_readings(found: re.Match[bytes]) -> tuple[bytes, ...]:
    quoted, single, plain = found[3], found[4], found[5]
    if quoted is not None:
        # Of a quote and a backslash only (ModSecurity), or of every special character (Go).
        return _ESCAPED_QUOTE.sub(rb"\1", quoted), _ESCAPED_SPECIAL.sub(rb"\1", quoted)
    return (_ESCAPED_SINGLE.sub(rb"\1", single) if single is not None else plain.rstrip(),)


def _readings(given: Sequence[_Given]) -> Iterator[bytes]:
    for section, readings in given:
        if not section:
            yield from readings
    for section, readings in given:
        if section == b"*":
            yield _decoded(readings[-1])
    sections = {section: readings[-1] for section, readings in given if section}
    if joined := b"".join(_in_order(sections)):
        yield joined


def _in_order(sections: Mapping[bytes, bytes]) -> Iterable[bytes]:
    for number in range(MAX_REPETITIONS):
        plain, encoded = sections.get(b"*%d" % number), sections.get(b"*%d*" % number)
        if plain is not None:
            yield plain
        elif encoded is not None:
            yield percent_decode(encoded) if number else _decoded(encoded)
        else:
            return


def _decoded(value: bytes) -> bytes:
    """The value after `charset'language'`, whatever the character set is."""
    return percent_decode(value.split(b"'", 2)[-1])
