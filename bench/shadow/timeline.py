"""Splits the duration of an evaluation into stages, by the broker's timestamps of its records."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.cli.committed_records import committed_consumer, committed_records
from shieldx.domains.shadow import tables
from shieldx.engine.tasks.partitioner import home_partition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.arena import Arena
    from bench.shadow.client import Answered


class Stages(NamedTuple):
    """Milliseconds since the broker received the evaluation, except for the last field."""

    first_batch_ms: float
    first_score_ms: float
    last_batch_ms: float
    last_score_ms: float
    report_ms: float
    asked_to_read_ms: float
    """By the client's clock, from just before the evaluation was sent until its report was read."""

    def in_words(self) -> str:
        """The stages as text for a page."""
        return (
            f"Through Kafka, by the broker's clock from the evaluation on: first batch after {self.first_batch_ms:.0f} "
            f"ms, first score {self.first_score_ms:.0f}, last batch {self.last_batch_ms:.0f}, last score "
            f"{self.last_score_ms:.0f}, report {self.report_ms:.0f}; read by the client, whose clock starts before it "
            f"sends, after {self.asked_to_read_ms:.0f} ms."
        )


class _Named(msgspec.Struct):
    eval_id: str


_decode = msgspec.json.Decoder(_Named).decode


async def stages_of(arena: Arena, answered: Answered) -> Stages:
    """The times of an evaluation's records."""
    report = answered.report
    number = home_partition(report.tenant_id, arena.partitions)
    times: dict[str, list[int]] = {}
    async with committed_consumer(arena.platform) as consumer:
        for topic in (tables.EVALUATIONS, tables.BATCHES, tables.SCORES, tables.REPORTS):
            times[topic] = [
                record.timestamp
                async for record in committed_records(consumer, topic, [number])
                if _decode(record.value or b"").eval_id == report.eval_id
            ]
    began = times[tables.EVALUATIONS][0]
    return Stages(
        min(times[tables.BATCHES]) - began,
        min(times[tables.SCORES]) - began,
        max(times[tables.BATCHES]) - began,
        max(times[tables.SCORES]) - began,
        times[tables.REPORTS][0] - began,
        answered.seconds * 1000,
    )


def medians(seen: Sequence[Stages]) -> Stages:
    """The median of each stage."""
    return Stages(*(median(column) for column in zip(*seen, strict=True)))
