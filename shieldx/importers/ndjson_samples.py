"""Samples in JSON, one per line, with the fields of `shieldx.domains.shadow.sample.Sample`.

`request.body` is base64. `request.body_text`, which is plain text, may replace it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.shadow.sample import Request, Sample
from shieldx.importers.bounded_lines import MAX_LINE_BYTES, read_lines
from shieldx.importers.imported import Imported, Skipped, SkipSample, imported, skip_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class _Request(Request, frozen=True, kw_only=True, gc=False):
    body_text: str | msgspec.UnsetType = msgspec.UNSET


class _Line(Sample, frozen=True, kw_only=True, gc=False):
    request: _Request


_DECODER = msgspec.json.Decoder(_Line)


def import_ndjson(path: Path) -> Imported:
    """Yield a sample for every line of the file.

    Raises:
        FixInput: The file cannot be read.
    """
    return samples_of_ndjson(read_lines(path), path.name)


def samples_of_ndjson(lines: Iterable[bytes | None], file: str) -> Imported:
    """Yield a sample for each non-blank line. `None` stands for a line that is too long; `file` is the file's name.

    Skipped lines are identified by file and line, as in `traffic.ndjson#12`. A sample keeps its own source if it has
    one.
    """
    for number, line in enumerate(lines, 1):
        if line is None:
            yield Skipped(f"{file}#{number}", "too large", f"a line of more than {MAX_LINE_BYTES:,} bytes")
        elif line.strip():
            yield imported(f"{file}#{number}", partial(_sample, line))


def _sample(line: bytes) -> Sample:
    try:
        decoded = _DECODER.decode(line)
    except msgspec.ValidationError as error:
        raise skip_of(error) from error
    except msgspec.DecodeError as error:
        raise SkipSample("unreadable", str(error)) from error
    except UnicodeDecodeError as error:
        raise SkipSample("not UTF-8", f"byte {error.start} of a string is not UTF-8") from error
    request = decoded.request
    body = request.body
    if request.body_text is not msgspec.UNSET:
        if body:
            raise SkipSample("malformed", "$.request: both body and body_text; remove one")
        body = request.body_text.encode()
    return Sample(
        label=decoded.label,
        category=decoded.category,
        source=decoded.source,
        request=Request(
            method=request.method, uri=request.uri, protocol=request.protocol, headers=request.headers, body=body
        ),
        expected_rules=decoded.expected_rules,
        unexpected_rules=decoded.unexpected_rules,
    )
