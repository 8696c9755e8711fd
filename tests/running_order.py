"""The order in which the processes of a run share its tests: all processes should end at the same time."""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

TOGETHER = ("tests/cli/with_agents", "tests/secured")
"""Packages whose modules share servers. One process runs all of a package, and the servers end with it."""


class SharedTests(LoadScopeScheduling):  # type: ignore[misc] # xdist ships no types
    """Gives each process the tests of a whole unit at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """Return what a test belongs to that no two processes share: its module, or its package if that is in TOGETHER."""
    module = nodeid.partition("::")[0]
    package = str(PurePosixPath(module).parent)
    return package if package in TOGETHER else module


def in_order(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests with those first that wait for servers, and those last that only compute, which are short.

    Recovery tests last longest and load the machine most, so they are spread among the others that need servers: the
    first begins the run, and no two are neighbours. A unit's tests stay together and in their order.
    """
    units: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        units[unit_of(item.nodeid)].append(item)
    recovering = [each for each in units.values() if _any_is(each, "recovery")]
    serving = [each for each in units.values() if _any_is(each, "integration") and each not in recovering]
    computing = [each for each in units.values() if each not in recovering and each not in serving]
    apart = 1 + len(serving) // max(1, len(recovering))
    for number, unit in enumerate(recovering):
        serving.insert(number * apart, unit)
    return [item for unit in (*serving, *computing) for item in unit]


def _any_is(items: list[pytest.Item], marker: str) -> bool:
    return any(item.get_closest_marker(marker) for item in items)
