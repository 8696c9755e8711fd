"""Every field of a topic and every column of an SQL table with its classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.classification import NEITHER, Classification, Nature
from shieldx.engine.declarations.message_fields import all_fields_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shieldx.engine.declarations.manifests import Topic
    from shieldx.engine.declarations.sink import SqlTable

KEY = "key"
"""Stands for the name of a message where the record's key is meant."""
_KEY_PARTS = dict.fromkeys(
    ("tenant_id", "shard", "sequence", "hour", "key digest", "topic", "partition", "offset", "input topic"), NEITHER
)
"""Parts of keys that may have no field of the same name in the record."""


class TopicField(NamedTuple):
    """A field of a record or a column of a table. `classification` is None if it has none."""

    message: str
    field: str
    classification: Classification | None


def fields_of_topic(topic: Topic) -> list[TopicField]:
    """The parts of a topic's keys, then the fields of its values."""
    values = list(_fields_of_values(topic))
    named = {it.field.rpartition(".")[2]: it.classification for it in values}
    named |= {it.field: it.classification for it in values}
    parts = [] if topic.key == "none" else topic.key.split("/")
    return [*(TopicField(KEY, part, (_KEY_PARTS | named).get(part)) for part in parts), *values]


def columns_of(table: SqlTable, topics: Mapping[str, Topic]) -> list[TopicField]:
    """The columns of a table. Those that copy a field of the topic are classified as it is."""
    copied = [] if table.copies is None or table.copies not in topics else fields_of_topic(topics[table.copies])
    return [
        TopicField(table.name, column, classification)
        for column in {**table.key, **table.columns}
        for classification in _of_column(column, copied, table)
    ]


def _fields_of_values(topic: Topic) -> Iterator[TopicField]:
    for schema, kind in topic.types().items():
        for field in all_fields_of(kind):
            yield TopicField(schema, field.name, field.classification)
    form = topic.loaded_form()
    if isinstance(form, type):
        for field in all_fields_of(form):
            yield TopicField("", field.name, field.classification)
    else:
        for name, classification in form.items():
            yield TopicField("", name, classification)


def _of_column(column: str, copied: list[TopicField], table: SqlTable) -> list[Classification | None]:
    """Several if the column has a whole message in JSON."""
    if column in table.own_columns:
        return [table.own_columns[column]]
    found = dict.fromkeys(it.classification for it in copied if it.field == column or it.field.startswith(f"{column}."))
    if not found or None in found:
        return [None]
    return [it for it in found if it is not None and it.nature is not Nature.NEITHER] or [NEITHER]
