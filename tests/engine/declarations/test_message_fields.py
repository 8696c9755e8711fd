"""Classifications are read from the annotations of message types."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from shieldx.classification import ACTING, FREE_TEXT, NEITHER, PSEUDONYM
from shieldx.engine.declarations.message_fields import all_fields_of, parts_of
from shieldx.messages import ActorId, Id


class Inner(msgspec.Struct):
    note: Annotated[str, FREE_TEXT]
    number: int


class Left(msgspec.Struct, tag="left", tag_field="side"):
    weight: Annotated[float, NEITHER]


class Right(msgspec.Struct, tag="right", tag_field="side"):
    weight: Annotated[float, NEITHER]
    inside: tuple[Left | Right, ...] = ()


class Message(msgspec.Struct, rename="camel"):
    tenant_id: Id
    actor: ActorId | None = None
    words: dict[Annotated[str, NEITHER], Annotated[str, PSEUDONYM]] = {}
    inner: Inner | msgspec.UnsetType = msgspec.UNSET
    side: Left | Right | None = None
    word: Literal["a", "b"] = "a"


CLASSIFIED = {field.name: field.classification for field in all_fields_of(Message)}


def test_an_alias_classifies_its_fields_and_the_outermost_classification_counts() -> None:
    assert CLASSIFIED["tenantId"] == NEITHER
    assert CLASSIFIED["actor"] == ACTING


def test_a_collection_is_personal_if_anything_in_it_is() -> None:
    assert CLASSIFIED["words"] == PSEUDONYM


def test_a_field_without_an_annotation_is_not_classified() -> None:
    assert [name for name, given in CLASSIFIED.items() if given is None] == ["inner.number", "word"]


def test_fields_of_messages_in_a_message_have_paths() -> None:
    assert CLASSIFIED["inner.note"] == FREE_TEXT
    assert CLASSIFIED["side.side"] == CLASSIFIED["side.weight"] == NEITHER


def test_a_message_in_itself_is_listed_once() -> None:
    assert [field.name for field in all_fields_of(Right)] == ["side", "weight", "inside.side", "inside.weight"]
    assert parts_of(Message) == [Inner, Left, Right]
