"""Those who wait for an answer pass over what is none."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest

from shieldx.cli.asking import letter_about
from shieldx.engine.tasks.log import UndecodedRecord
from shieldx.engine.testing.memory_log import MemoryRecord
from shieldx.messages import DEAD_LETTERS, Coordinates, DeadLetter

SENT = Coordinates("asks", 0, 7)
LETTER = DeadLetter(reason="unreadable", detail="d", source=SENT, length=None, sha256=None, at="2026-12-01")


def record(value: bytes | None) -> MemoryRecord:
    return MemoryRecord(DEAD_LETTERS, 0, 0, 0, None, value, ())


def test_a_dead_letter_about_what_was_sent_is_found() -> None:
    assert letter_about(record(msgspec.json.encode(LETTER)), [SENT]) == LETTER
    assert letter_about(record(msgspec.json.encode(LETTER)), [Coordinates("asks", 0, 8)]) is None


@pytest.mark.parametrize("value", [None, b"", b"{}", b'"\xff"', b"[" * 100_000])
def test_what_is_no_dead_letter_is_passed_over(value: bytes | None) -> None:
    assert letter_about(record(value), [SENT]) is None


def test_a_record_that_was_not_decoded_is_passed_over() -> None:
    undecoded = UndecodedRecord(
        topic=DEAD_LETTERS, partition=0, offset=0, timestamp=0, reason="r", length=1, sha256=sha256(b"1").hexdigest()
    )
    assert letter_about(undecoded, [SENT]) is None
