"""Every field of a topic and every column of a table has a classification: of the platform's own, all have one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import pytest

from shieldx.classification import CIPHERTEXT, FREE_TEXT, NEITHER, PSEUDONYM
from shieldx.engine.declarations.declared import load_declared
from shieldx.engine.declarations.lifetime import lifetime
from shieldx.engine.declarations.manifests import Topic
from shieldx.engine.declarations.message_fields import fields_of, parts_of
from shieldx.engine.declarations.sink import Sink, SqlTable
from shieldx.engine.declarations.topic_fields import KEY, columns_of, fields_of_topic
from shieldx.engine.tasks.classified_headers import HEADERS
from shieldx.engine.tasks.codec import CARRIED, HOP, REPLY_TO, SCHEMA
from shieldx.engine.tasks.signatures import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
DECLARED = load_declared(ROOT)
TOPICS = DECLARED.topics
TABLES = [table for agent in DECLARED.agents.values() if isinstance(agent, Sink) for table in agent.into]
PAGE = "then run `make docs`"


class Person(msgspec.Struct):
    tenant_id: Annotated[str, NEITHER]
    name: Annotated[str, PSEUDONYM]
    note: Annotated[str, FREE_TEXT]
    letter: Letter


class Letter(msgspec.Struct):
    number: Annotated[int, NEITHER]
    text: Annotated[str, CIPHERTEXT]


PACKED = {"version": NEITHER}


def topic(**given: object) -> Topic:
    return msgspec.convert({"about": "", "key": "none", "cleanup": "delete", **given}, Topic)


def types_of(topic: Topic) -> Iterator[type[msgspec.Struct]]:
    form = topic.loaded_form()
    for kind in (*topic.types().values(), *([form] if isinstance(form, type) else ())):
        yield kind
        yield from parts_of(kind)


def test_every_field_of_every_message_is_classified() -> None:
    kinds = dict.fromkeys(kind for topic in TOPICS.values() for kind in types_of(topic))
    missing = [f"{it.__module__}.{it.__name__}.{f.name}" for it in kinds for f in fields_of(it) if not f.is_classified]
    assert len(kinds) > 40
    assert missing == [], f"annotate them as shieldx/classification.py says: `Annotated[str, NEITHER]`; {PAGE}"


@pytest.mark.parametrize("name", TOPICS)
def test_every_topic_says_what_it_has_and_how_long(name: str) -> None:
    topic = TOPICS[name]
    assert topic.messages or topic.form or topic.accepts_replies, f"name the form of its values; {PAGE}"
    assert [it.field for it in fields_of_topic(topic) if it.classification is None] == []
    assert lifetime(topic), f"set its row_lifetime; {PAGE}"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_of_every_table_is_classified(table: SqlTable) -> None:
    missing = [it.field for it in columns_of(table, TOPICS) if it.classification is None]
    assert missing == [], f"name them in own_columns of the table; {PAGE}"
    assert table.row_lifetime, f"set its row_lifetime; {PAGE}"


def test_every_header_is_classified() -> None:
    assert set(HEADERS) == {*CARRIED, SCHEMA, REPLY_TO, HOP, SIGNATURE}


def test_parts_of_a_key_are_what_the_fields_of_their_names_are() -> None:
    fields = fields_of_topic(topic(key="tenant_id/name/number", messages={"a.person/1": f"{__name__}:Person"}))
    assert [(it.field, it.classification) for it in fields if it.message == KEY] == [
        ("tenant_id", NEITHER),
        ("name", PSEUDONYM),
        ("number", NEITHER),
    ]


def test_a_packed_form_names_its_fields() -> None:
    assert fields_of_topic(topic(form=f"{__name__}:PACKED")) == [("", "version", NEITHER)]


def test_a_column_is_what_it_copies_and_one_with_a_message_is_all_that_is_in_it() -> None:
    people = topic(messages={"a.person/1": f"{__name__}:Person"})
    table = SqlTable(
        name="people",
        key={"name": "text"},
        columns={"letter": "text", "at": "bigint", "shoe_size": "bigint"},
        copies="people",
        own_columns={"at": NEITHER},
    )
    assert [(it.field, it.classification) for it in columns_of(table, {"people": people})] == [
        ("name", PSEUDONYM),
        ("letter", CIPHERTEXT),
        ("at", NEITHER),
        ("shoe_size", None),
    ]


def test_a_record_stays_until_the_last_one_of_its_segment_is_old_enough() -> None:
    assert lifetime(topic(retention="7d")) == "7 days, and at most 7 days more"
    assert lifetime(topic(retention="1d", segment="1h")) == "1 day, and at most 1 hour more"
    assert lifetime(topic()) == "as long as the topic"


def test_a_row_stays_as_long_as_the_manifest_says() -> None:
    compacted = {"cleanup": "compact", "row_lifetime": "until it is erased"}
    assert lifetime(topic(**compacted)) == "until it is erased"
    assert lifetime(topic(**compacted, max_compaction_lag="1d")).endswith("deleted for 1 day more at most")
    assert lifetime(topic(**compacted, min_compaction_lag="7y")).endswith("every record for 7 years at least")
