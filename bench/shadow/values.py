"""The values that a signature looks at: those of its targets in each sample, read and transformed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.matching.scopes import ScopeSources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shieldx.domains.shadow.rule import Scope
    from shieldx.domains.shadow.sample import Sample

Values = list[list[bytes]]
"""The values of each sample, in order."""


def values_of(scope: Scope, samples: Iterable[Sample]) -> Values:
    """The values in the scope for each sample, as the matcher passes them to a pattern."""
    sources = ScopeSources()
    numbers = sources.add(scope)
    return [list(sources.reader(ParsedRequest(sample.request)).values(numbers)) for sample in samples]
