"""Thousands of confusion matrices of all magnitudes, with every combination of empty cells."""

from __future__ import annotations

import numpy as np

from shieldx.domains.shadow.statistics.confusion import Confusion
from tests.lengths import length

SEED = 20_240_607
TABLES = length(short=800, soak=10_000)
EXACT_IN_FLOATS = 2 * 10**7
"""Up to here the square of a table's total is below 2^53, and scikit-learn's floating-point MCC is exact."""
LARGEST = 10**9


def random_tables(largest: int, tables: int = TABLES) -> list[Confusion]:
    """Cells from 1 to `largest`, with uniform logarithms. The bits of a table's index select the nonzero cells."""
    generator = np.random.default_rng(SEED)
    cells = np.exp(generator.uniform(0, np.log(largest), size=(tables, 4))).astype(np.int64)
    filled = np.arange(tables)[:, None] >> np.arange(4) & 1
    return [Confusion(*row) for row in (cells * filled).tolist()]
