"""An importer's result: a sample, or the reason why it was skipped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from shieldx.domains.shadow.sample import MAX_BODY_BYTES, Sample
from shieldx.errors import ShieldXError

MAX_SAMPLE_BYTES = 950_000
"""The maximum size of a sample in JSON. With its headers it fits into a record of 1 MB."""

Reason = Literal[
    "unreadable",  # not YAML, JSON or CSV, or cannot be opened
    "malformed",  # a field is missing or has the wrong type
    "unsupported",  # a feature that the importer does not support
    "not UTF-8",
    "not HTTP/1.1",
    "not sendable",  # the format's own client would reject it
    "no tests",
    "no expectation",  # the test states no expectation for any rule
    "unknown label",
    "too large",
]


class FixInput(ShieldXError):
    """Importing will fail again in the same way until the file, the path or the mapping is changed.

    Change what the message names and import again.
    """


class SkipSample(ShieldXError):
    """This sample cannot be imported.

    Nothing to do: the import counts it by `reason` and continues with the next one.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


class Skipped(msgspec.Struct, frozen=True, gc=False):
    """An input that was not imported. `source` locates it as a sample's source does; `detail` quotes no values."""

    source: str
    reason: Reason
    detail: str = ""


Imported = Iterator[Sample | Skipped]

_DECODER = msgspec.json.Decoder(Sample)
_WITH_PATH = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>.*)`)?", re.DOTALL)


def imported(source: str, build: Callable[[], Sample]) -> Sample | Skipped:
    """The sample that `build` returns, if it respects all bounds of the type and fits into a record."""
    try:
        sample = build()
        check(sample)
    except SkipSample as skip:
        return Skipped(source, skip.reason, skip.detail)
    except UnicodeEncodeError:
        return Skipped(source, "not UTF-8", "a text of the request is not UTF-8")
    return sample


def check(sample: Sample) -> None:
    """Raise `SkipSample` if the sample violates a bound of its type or is too large for a record."""
    if len(sample.request.body) > MAX_BODY_BYTES:
        raise SkipSample("too large", f"a body of {len(sample.request.body):,} bytes; at most {MAX_BODY_BYTES:,}")
    encoded = msgspec.json.encode(sample)
    if len(encoded) > MAX_SAMPLE_BYTES:
        raise SkipSample("too large", f"a sample of {len(encoded):,} bytes in JSON; at most {MAX_SAMPLE_BYTES:,}")
    try:
        _DECODER.decode(encoded)
    except msgspec.ValidationError as error:
        raise skip_of(error) from error


def skip_of(error: msgspec.ValidationError) -> SkipSample:
    """The decoder's message with the path but without the value."""
    match = _WITH_PATH.fullmatch(str(error))
    what, path = (match["what"], match["path"] or "$") if match else ("not valid", "$")
    if what.startswith("Invalid enum value"):  # the only message that quotes the value
        what = "Not an allowed value"
    return SkipSample("too large" if "length <=" in what else "malformed", f"{path}: {what}")
