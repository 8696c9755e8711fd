"""The headers of records, what each says, and its classification."""

from __future__ import annotations

from typing import NamedTuple

from shieldx.classification import NEITHER, Classification
from shieldx.engine.tasks.codec import CORRELATION_ID, HOP, REPLY_TO, SCHEMA, TRACEPARENT
from shieldx.engine.tasks.signatures import SIGNATURE


class ClassifiedHeader(NamedTuple):
    """What a header says, and what that is."""

    about: str
    classification: Classification = NEITHER


HEADERS = {
    SCHEMA: ClassifiedHeader("the name and version of the value's schema"),
    CORRELATION_ID: ClassifiedHeader("an id that a sender chose to find the answer; every output repeats it"),
    TRACEPARENT: ClassifiedHeader("the sender's trace, as W3C Trace Context defines it; every output repeats it"),
    REPLY_TO: ClassifiedHeader("the topic that gets a copy of the answer"),
    HOP: ClassifiedHeader("marks a record that was forwarded to its tenant's partition"),
    SIGNATURE: ClassifiedHeader("which agent wrote the record, the id of its key, the time, and an HMAC"),
}
"""Every header that an agent writes or reads. Other headers of a sender are ignored and not repeated."""
