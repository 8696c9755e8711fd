"""What an importer gives: a sample, or why there is none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from shieldx.domains.shadow.sample import MAX_BODY_BYTES, Sample
from shieldx.errors import ShieldXError

MAX_SAMPLE_BYTES = 950_000
"""The longest sample in JSON: with its headers it stays within a record of a megabyte."""

Reason = Literal[
    "unreadable",  # not YAML, JSON or CSV, or it cannot be opened
    "malformed",  # a field is missing, or is of another type
    "unsupported",  # a meaning that the importer does not have
    "not UTF-8",
    "not HTTP/1.1",
    "not sendable",  # the client that the format is made for would refuse it
    "no tests",
    "no expectation",  # nothing is said about any rule
    "unknown label",
    "too large",
]


class FixInput(ShieldXError):
    """Importing again will fail in the same way until the file, the path or the mapping is changed."""


class SkipSample(ShieldXError):
    """This one cannot be imported: count it by `reason` and go on with the next."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


class Skipped(msgspec.Struct, frozen=True, gc=False):
    """What was not imported. `source` says where it stands, as a sample's does; `detail` quotes no value of it."""

    source: str
    reason: Reason
    detail: str = ""


Imported = Iterator[Sample | Skipped]

_DECODER = msgspec.json.Decoder(Sample)
_WITH_PATH = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>.*)`)?", re.DOTALL)


def imported(source: str, build: Callable[[], Sample]) -> Sample | Skipped:
    """The sample that `build` gives if it can be stored: every bound of the type holds, and it fits into a record."""
    try:
        sample = build()
        check(sample)
    except SkipSample as skip:
        return Skipped(source, skip.reason, skip.detail)
    except UnicodeEncodeError:
        return Skipped(source, "not UTF-8", "a text of the request is not UTF-8")
    return sample


def check(sample: Sample) -> None:
    """Raise `SkipSample` where the sample breaks a bound of its type, or is too large for a record."""
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
    """What a decoder says, with the path and without the value."""
    match = _WITH_PATH.fullmatch(str(error))
    what, path = (match["what"], match["path"] or "$") if match else ("not valid", "$")
    if what.startswith("Invalid enum value"):  # the one message that quotes the value
        what = "Not one of the values that are allowed"
    return SkipSample("too large" if "length <=" in what else "malformed", f"{path}: {what}")
