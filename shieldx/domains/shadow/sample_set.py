"""A version of a sample set: its order, a summary of its samples, and the hash that identifies it."""

from __future__ import annotations

from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.shadow.messages import Stratum

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shieldx.domains.shadow.sample import Label, Sample

_encode = msgspec.json.Encoder(order="deterministic").encode
_VERSION_DIGITS = 16


def arranged(samples: Iterable[Sample]) -> list[Sample]:
    """The samples in the order of a set: those of a stratum are adjacent, whatever order they came in."""
    return sorted(samples, key=lambda sample: (_stratum_key(sample), _encode(sample)))


def strata_of(samples: Iterable[Sample]) -> tuple[Stratum, ...]:
    """A summary of arranged samples by stratum."""
    return tuple(
        Stratum(
            label=label,
            category=category,
            samples=sum(1 for _ in group),
            expected_rules=expected,
            unexpected_rules=unexpected,
        )
        for (label, category, expected, unexpected), group in groupby(samples, _stratum_key)
    )


def strata_digest(strata: Sequence[Stratum]) -> str:
    """A short identifier of strata."""
    return sha256(_encode(strata)).hexdigest()[:_VERSION_DIGITS]


def version_of(samples: Iterable[Sample]) -> str:
    """The version of arranged samples. It is the same wherever and whenever they are imported."""
    return version_and_strata(samples)[0]


def version_and_strata(arranged_samples: Iterable[Sample]) -> tuple[str, tuple[Stratum, ...]]:
    """Compute both in one pass, so that a large set does not have to be in memory as a whole."""
    digest = sha256()

    def hashed() -> Iterator[Sample]:
        for sample in arranged_samples:
            digest.update(_encode(sample))
            digest.update(b"\n")
            yield sample

    strata = strata_of(hashed())
    return digest.hexdigest()[:_VERSION_DIGITS], strata


def _stratum_key(sample: Sample) -> tuple[Label, str, tuple[str, ...], tuple[str, ...]]:
    return sample.label, sample.category, sample.expected_rules, sample.unexpected_rules
