"""The agent's estimate of its memory use is about right."""

from __future__ import annotations

import gc
import tracemalloc

import msgspec

from shieldx.domains.shadow.messages import Evaluate, Outcomes, Score, SealSamples, Stratum
from shieldx.domains.shadow.tables import Plan
from shieldx.messages import Source
from tests.domains.open_partition import OpenPartition, shadow_partition
from tests.domains.shadow.shadow_world import INJECTION, TENANT

AT_MS = 1_767_268_800_000


def source(offset: int, at_ms: int = AT_MS) -> Source:
    return Source("any", 0, offset, at_ms, b"")


def sealed() -> OpenPartition:
    """A fold with a set of 100,000 samples."""
    fold = shadow_partition(0)
    strata = tuple(Stratum(label="benign", category=f"c{n}", samples=1000) for n in range(100))
    seal = SealSamples(
        tenant_id=TENANT, sample_set="default", version="0" * 16, strata=strata, first_offset=0, last_offset=99_999
    )
    fold.apply(seal, source(0))
    list(fold.changes())
    return fold


def evaluate(fold: OpenPartition, number: int, size: int = 1000) -> str:
    """Begin an evaluation, and let its outputs and changes go; returns its token."""
    fold.apply(
        Evaluate(
            tenant_id=TENANT,
            rule_id="r",
            rule_config=INJECTION,
            eval_id=f"e{number}",
            seed=number,
            sample_size=size,
            deadline_s=60,
        ),
        source(number + 1),
    )
    (change,) = fold.changes()
    return msgspec.json.decode(change.value or b"", type=Plan).token


def test_evaluations_of_many_samples_are_felt() -> None:
    fold = sealed()
    evaluate(fold, 0)
    gc.collect()
    said_before = fold.size_bytes
    tracemalloc.start()
    try:
        for number in range(1, 11):
            evaluate(fold, number, size=100_000)
        gc.collect()
        took = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    said = fold.size_bytes - said_before
    assert took > 10 * 100_000 * 40
    assert 0.7 * took < said < 1.5 * took


def test_a_fold_that_has_forgotten_all_evaluations_is_as_small_as_before() -> None:
    fold = sealed()
    before = fold.size_bytes
    tokens = [evaluate(fold, number, size=5000) for number in range(20)]
    assert fold.size_bytes > before + 20 * 5000 * 40
    score = Score(
        tenant_id=TENANT,
        eval_id="e0",
        token=tokens[0],
        batch=0,
        outcomes=Outcomes(fired="0" * 100),
        sources=("a source",) * 100,
    )
    fold.apply(score, source(100))
    late_ms = AT_MS + 60_000
    fold.expire(late_ms, 1000)
    list(fold.changes())
    assert fold.size_bytes < before + 20 * 20_000, "what is kept are reports"
    fold.expire(late_ms + 24 * 3_600_000, 1000)
    list(fold.changes())
    assert (fold.size_bytes, fold.due_ms) == (before, None)
