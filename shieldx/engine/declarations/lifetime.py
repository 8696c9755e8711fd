"""How long the broker keeps what is in a topic, as its manifest says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.engine.declarations.manifests import duration_ms

if TYPE_CHECKING:
    from shieldx.engine.declarations.manifests import Topic

BROKERS_SEGMENT = "7d"
"""Kafka's default: after this time the broker begins a new segment. It deletes whole segments only."""
_HOUR_MS, _DAY_MS = 3_600_000, 24 * 3_600_000


def lifetime(topic: Topic) -> str:
    """How long a record or a row stays, in words; empty if the manifest does not say.

    A record goes when the last one of its segment is older than the retention.
    """
    if topic.cleanup == "delete":
        return "as long as the topic" if topic.retention == "forever" else _retained(topic)
    said = [] if topic.row_lifetime is None else [topic.row_lifetime]
    if topic.min_compaction_lag is not None:
        said.append(f"every record for {_words(duration_ms(topic.min_compaction_lag))} at least")
    if topic.max_compaction_lag is not None:
        said.append(f"what was replaced or deleted for {_words(duration_ms(topic.max_compaction_lag))} more at most")
    return "; ".join(said)


def _retained(topic: Topic) -> str:
    least, more = duration_ms(topic.retention), duration_ms(topic.segment or BROKERS_SEGMENT)
    return f"{_words(least)}, and at most {_words(more)} more"


def _words(ms: int) -> str:
    for unit_ms, unit in ((365 * _DAY_MS, "years"), (_DAY_MS, "days"), (_HOUR_MS, "hours")):
        if ms % unit_ms == 0:
            return f"{ms // unit_ms} {unit if ms > unit_ms else unit.removesuffix('s')}"
    return f"{ms // 1000} s"
