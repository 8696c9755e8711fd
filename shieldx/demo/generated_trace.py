"""Generates a usage trace from a seed, so that the demo needs no file and every machine replays the same trace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from shieldx.demo.trace import Trace, TraceRow

ROWS = 5000
SEED = 20
_START = datetime(2024, 1, 1, tzinfo=UTC)
_BURST_CHANCE = 0.02
_BURST_ROWS = (10, 80)
_GAP_S, _GAP_IN_BURST_S = 0.8, 0.02
# Log-normal with a long tail. Medians: e^7 = 1,100 tokens read and e^4 = 55 tokens written.
_CONTEXT = (7.0, 1.0)
_GENERATED = (4.0, 1.1)
_MOST_CONTEXT, _MOST_GENERATED = 32_768, 4096


def generate_trace(seed: int, rows: int = ROWS) -> Trace:
    """Requests in bursts, with prompt and answer lengths from log-normal distributions."""
    random = Random(seed)  # noqa: S311 - a trace, not a secret
    at, burst = _START, 0
    drawn = []
    for _ in range(rows):
        if burst == 0 and random.random() < _BURST_CHANCE:
            burst = random.randint(*_BURST_ROWS)
        mean_s = _GAP_IN_BURST_S if burst else _GAP_S
        burst = max(0, burst - 1)
        at += timedelta(seconds=random.expovariate(1 / mean_s))
        context = min(_MOST_CONTEXT, 1 + int(random.lognormvariate(*_CONTEXT)))
        generated = min(_MOST_GENERATED, 1 + int(random.lognormvariate(*_GENERATED)))
        drawn.append(TraceRow(at, context, generated))
    return Trace(f"generated from seed {seed}", drawn)
