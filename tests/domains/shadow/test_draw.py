"""The stratified draw: the number per stratum, which samples, and reproducibility."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.domains.shadow.draw import Drawn, draw
from shieldx.domains.shadow.messages import Stratum

RULE = "942100"
expectations = st.sampled_from([(), (), (RULE,), ("1",), ("1", RULE)])
strata_sets = st.lists(
    st.builds(
        Stratum,
        label=st.sampled_from(["attack", "benign"]),
        category=st.sampled_from(["a", "b", "c"]),
        samples=st.one_of(st.integers(1, 5), st.integers(1, 400)),
        expected_rules=expectations,
        unexpected_rules=expectations,
    ),
    min_size=1,
    max_size=12,
)
sizes = st.one_of(st.integers(1, 20), st.integers(1, 5000))
seeds = st.integers(0, 2**53 - 1)


def taken(strata: list[Stratum], drawn: Drawn) -> list[int]:
    """The number drawn from each stratum."""
    ends, end = [], 0
    for stratum in strata:
        end += stratum.samples
        ends.append(end)
    counts = [0] * len(strata)
    for index in drawn.indices:
        counts[next(number for number, end in enumerate(ends) if index < end)] += 1
    return counts


@given(strata_sets, sizes, seeds)
def test_it_draws_as_many_as_are_asked_for_each_once_in_order(strata: list[Stratum], size: int, seed: int) -> None:
    total = sum(stratum.samples for stratum in strata)
    drawn = draw(strata, size, seed)
    assert len(drawn.indices) == len(drawn.positive) == len(drawn.categories) == min(size, total)
    assert list(drawn.indices) == sorted(set(drawn.indices))
    assert 0 <= drawn.indices[0] <= drawn.indices[-1] < total


@given(strata_sets, sizes, seeds)
def test_each_stratum_has_its_share_within_one_of_what_is_left_when_each_has_one(
    strata: list[Stratum], size: int, seed: int
) -> None:
    counts = [stratum.samples for stratum in strata]
    found = taken(strata, draw(strata, size, seed))
    if size >= sum(counts):
        assert found == counts
        return
    least = 1 if size >= len(counts) else 0
    rest, left = size - least * len(counts), sum(counts) - least * len(counts)
    for count, share in zip(counts, found, strict=True):
        assert least <= share <= count
        assert abs(share - least - rest * (count - least) / left) < 1


@given(strata_sets, sizes, seeds)
def test_the_same_seed_draws_the_same(strata: list[Stratum], size: int, seed: int) -> None:
    assert draw(strata, size, seed) == draw(tuple(strata), size, seed)


@given(strata_sets, sizes, sizes, seeds)
def test_how_many_are_drawn_of_a_stratum_decides_which_are(
    strata: list[Stratum], one: int, other: int, seed: int
) -> None:
    """A larger draw contains the smaller one if it takes no less of any stratum: the seed decides, not the size."""
    smaller, larger = draw(strata, min(one, other), seed), draw(strata, max(one, other), seed)
    fewer = [share <= more for share, more in zip(taken(strata, smaller), taken(strata, larger), strict=True)]
    assert not all(fewer) or set(smaller.indices) <= set(larger.indices)


@given(strata_sets, sizes, seeds, st.sampled_from([None, RULE]))
def test_drawn_samples_have_the_truth_and_category_of_their_stratum(
    strata: list[Stratum], size: int, seed: int, ground_truth: str | None
) -> None:
    every = [stratum for stratum in strata for _ in range(stratum.samples)]
    drawn = draw(strata, size, seed, ground_truth)
    for index, positive, category in zip(drawn.indices, drawn.positive, drawn.categories, strict=True):
        stratum = every[index]
        assert category == stratum.category
        if ground_truth is None:
            assert positive == (stratum.label == "attack")
        elif positive:
            assert RULE in stratum.expected_rules
        else:
            names_none = not stratum.expected_rules and not stratum.unexpected_rules
            assert RULE not in stratum.expected_rules
            assert RULE in stratum.unexpected_rules or (names_none and stratum.label == "benign")


@given(strata_sets, seeds)
def test_with_a_ground_truth_all_samples_with_expectations_can_be_drawn(strata: list[Stratum], seed: int) -> None:
    says = [
        RULE in it.expected_rules
        or RULE in it.unexpected_rules
        or (it.label == "benign" and not it.expected_rules and not it.unexpected_rules)
        for it in strata
    ]
    found = taken(strata, draw(strata, 5000, seed, RULE))
    assert found == [it.samples if usable else 0 for it, usable in zip(strata, says, strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_another_seed_draws_others(seed: int) -> None:
    strata = [Stratum(label="attack", category="a", samples=1000)]
    assert draw(strata, 20, seed) != draw(strata, 20, seed + 1)


def test_no_sample_is_drawn_more_often_than_others() -> None:
    strata = [Stratum(label="attack", category="a", samples=10), Stratum(label="benign", category="b", samples=30)]
    times = [0] * 40
    for seed in range(2000):
        for index in draw(strata, 20, seed).indices:
            times[index] += 1
    assert all(880 < it < 1120 for it in times), "within 5 standard deviations of half of all draws"


def test_the_draw_is_this_one_for_ever() -> None:
    """A report identifies its samples by its seed, so numpy must not change the draw between versions."""
    strata = [
        Stratum(label="attack", category="sqli", samples=7),
        Stratum(label="attack", category="xss", samples=20),
        Stratum(label="benign", category="texts", samples=60),
    ]
    assert draw(strata, 12, 0).indices == (2, 3, 11, 13, 20, 32, 48, 53, 55, 59, 62, 69)
    assert draw(strata, 12, 2**53 - 1).indices == (3, 4, 11, 20, 23, 29, 31, 40, 66, 70, 72, 78)
    assert taken(strata, draw(strata, 12, 0)) == [2, 3, 7]
