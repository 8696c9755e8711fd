"""Content-Disposition of a part of a multipart body."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from shieldx.domains.shadow.matching.header_parameters import ParameterReader

if TYPE_CHECKING:
    from collections.abc import Sequence

_READER: Final = ParameterReader("name", "filename")
_TOKEN: Final = rb"[^\x00-\x20\x7f-\xff()<>@,;:\\\"/\[\]?=]++"
_PARAMETER: Final = rb";\s*+(" + _TOKEN + rb')\s*+=\s*+("[^"\\]*+(?:\\.[^"\\]*+)*+"|' + _TOKEN + rb")\s*+"
_PARAMETERS: Final = re.compile(_PARAMETER, re.DOTALL)
_WELL_FORMED: Final = re.compile(
    rb"content-disposition:\s*+form-data\s*+(?:" + _PARAMETER + rb")*+;?\s*+", re.IGNORECASE | re.DOTALL
)
_QUOTES_OF_ENCODED: Final = 2


class Disposition(NamedTuple):
    """How a part is named, in the ways in which servers read it."""

    names: Sequence[bytes]
    """One or two; an empty one if there is none."""
    filenames: Sequence[bytes]
    is_field: bool
    """Whether its content is an argument, at least to some servers."""


UNNAMED: Final = Disposition((b"",), (), is_field=True)


def read_disposition(lines: Sequence[bytes]) -> Disposition:
    """Read header lines `Content-Disposition: …`, of which there should be one."""
    if not lines:
        return UNNAMED
    ways = [way for line in lines for way in _READER.read(line)]
    names = list(dict.fromkeys(name for way in ways for name in way[b"name"])) or [b""]
    filenames = list(dict.fromkeys(name for way in ways for name in way[b"filename"] if name))
    return Disposition(
        names if len(names) == 1 else (names[0], names[-1]),
        filenames,
        is_field=len(lines) > 1 or not all(any(way[b"filename"]) for way in ways) or not _is_well_formed(lines[0]),
    )


def _is_well_formed(line: bytes) -> bool:
    """Whether no server fails to see the file's name, and takes the content for that of a field."""
    if _WELL_FORMED.fullmatch(line) is None:
        return False
    parameters = [(name.lower(), value) for name, value in _PARAMETERS.findall(line)]
    starred = {name: value for name, value in parameters if b"*" in name}
    encoded = starred.pop(b"filename*", b"''")
    return not starred and encoded.count(b"'") >= _QUOTES_OF_ENCODED and len(dict(parameters)) == len(parameters)
