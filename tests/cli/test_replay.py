from __future__ import annotations

import pytest
from click import BadParameter

from shieldx.cli.letters import Letter
from shieldx.cli.record_place import RecordPlace, RecordPlaceType
from shieldx.cli.replay import key_of, replayable
from shieldx.messages import Coordinates, DeadLetter


def letter(offset: int, reason: str = "unreadable", *, replayed: bool = False) -> Letter:
    content = DeadLetter(
        reason=reason, detail="", source=Coordinates("t", 0, offset), length=1, sha256="", at="2026-01-01T00:00:00.000Z"
    )
    return Letter(RecordPlace("t", 0, offset), content, replayed)


def test_each_record_is_replayed_once_unless_it_was_executed_or_replayed() -> None:
    letters = [letter(1), letter(1, "key_differs"), letter(2, replayed=True), letter(3, "reply_to_refused"), letter(4)]
    assert [chosen.place.offset for chosen in replayable(letters)] == [1, 4]


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b'{"tenant_id":"org","type":"x"}', b"org"),
        (b'{"tenant_id":7}', b"old"),
        (b"not json", b"old"),
        (b"\xff", b"old"),
        (None, b"old"),
    ],
)
def test_the_body_names_the_key(value: bytes | None, key: bytes) -> None:
    assert key_of(value, b"old") == key


def test_a_place_is_parsed_as_it_is_printed() -> None:
    place = RecordPlace("credits.commands", 3, 17)
    assert RecordPlaceType().convert(str(place), None, None) == place


@pytest.mark.parametrize("text", ["", "t", "t/1", "t/1/", "t/x/1", "t/1/-1", "/1/2", "t/1/2/3"])
def test_no_other_text_is_a_place(text: str) -> None:
    with pytest.raises(BadParameter, match="topic/partition/offset"):
        RecordPlaceType().convert(text, None, None)
