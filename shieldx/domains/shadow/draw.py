"""The stratified draw of samples from a set. A seed always draws the same samples, on every machine and version."""

from __future__ import annotations

from itertools import chain, repeat
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.messages import Stratum


class Drawn(msgspec.Struct, frozen=True):
    """Drawn samples by their index in the set, each with its truth and category."""

    indices: tuple[int, ...]
    positive: tuple[bool, ...]
    categories: tuple[str, ...]


def draw(strata: Sequence[Stratum], size: int, seed: int, ground_truth: str | None = None) -> Drawn:
    """Draw `size` samples, or all if there are fewer.

    The draw is proportional to the strata (largest remainder), with at least one sample per stratum if `size` allows.
    The label decides which samples are positives or, with `ground_truth`, the strata's expectations for that rule.
    """
    usable, first = [], 0
    for stratum in strata:
        positive = _truth(stratum, ground_truth)
        if positive is not None:
            usable.append((first, stratum, positive))
        first += stratum.samples
    shares = _shares([stratum.samples for _, stratum, _ in usable], size)
    # numpy guarantees a stable stream across versions only for the raw output of a bit generator (NEP 19).
    ranks = np.random.PCG64(seed).random_raw(first)
    drawn, indices = list(zip(usable, shares, strict=True)), []
    for (start, stratum, _), share in drawn:
        order = np.argsort(ranks[start : start + stratum.samples], kind="stable")
        indices += (start + np.sort(order[:share])).tolist()
    return Drawn(
        tuple(indices),
        tuple(chain.from_iterable(repeat(positive, share) for (_, _, positive), share in drawn)),
        tuple(chain.from_iterable(repeat(stratum.category, share) for (_, stratum, _), share in drawn)),
    )


def _truth(stratum: Stratum, ground_truth: str | None) -> bool | None:
    """Whether samples of a stratum are positives, negatives, or neither (None)."""
    if ground_truth is None:
        return stratum.label == "attack"
    if ground_truth in stratum.expected_rules:
        return True
    names_no_rules = not stratum.expected_rules and not stratum.unexpected_rules
    if ground_truth in stratum.unexpected_rules or (stratum.label == "benign" and names_no_rules):
        return False
    return None


def _shares(counts: Sequence[int], size: int) -> list[int]:
    """The number to take of each count: integers that add up to `size` at most."""
    total = sum(counts)
    if size >= total:
        return list(counts)
    least = 1 if size >= len(counts) else 0
    rest, left = size - least * len(counts), total - least * len(counts)
    exact = [rest * (count - least) / left for count in counts]
    shares = [least + int(share) for share in exact]
    by_remainder = sorted(range(len(counts)), key=lambda place: (int(exact[place]) - exact[place], place))
    for place in by_remainder[: size - sum(shares)]:
        shares[place] += 1
    return shares
