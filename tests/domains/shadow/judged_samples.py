"""Judged samples for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.shadow.draw import Drawn
from shieldx.domains.shadow.judged import JudgedEvaluation, RuleOutcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = tuple[str, bool, bool]
"""Category, whether it is a positive, and whether the rule fired."""


def judged(
    rows: Sequence[Row],
    *,
    scores: Sequence[float] | None = None,
    compared: Sequence[bool] | None = None,
    sources: Sequence[str] | None = None,
) -> JudgedEvaluation:
    """An evaluation of these samples. Sample n has the source `s#n`."""
    return JudgedEvaluation(
        Drawn(tuple(range(len(rows))), tuple(row[1] for row in rows), tuple(row[0] for row in rows)),
        RuleOutcomes(tuple(row[2] for row in rows), None if scores is None else tuple(scores)),
        None if compared is None else RuleOutcomes(tuple(compared), None),
        tuple(sources or (f"s#{n}" for n in range(len(rows)))),
        tuple(range(len(rows))),
    )


def rows_of(category: str, *, positive: bool, fired: int, silent: int) -> list[Row]:
    """Samples of a category: how many fired, and how many did not."""
    return [(category, positive, True)] * fired + [(category, positive, False)] * silent
