"""The order in which the processes of a run share its tests, module by module: all should end at the same time."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest


def in_order(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests with those first that wait for servers, and those last that only compute, which are short.

    Recovery tests last longest and load the machine most, so they are spread among the others that need servers: the
    first begins the run, and no two are neighbours. A module's tests stay together and in their order.
    """
    modules: defaultdict[Path, list[pytest.Item]] = defaultdict(list)
    for item in items:
        modules[item.path].append(item)
    recovering = [each for each in modules.values() if _any_is(each, "recovery")]
    serving = [each for each in modules.values() if _any_is(each, "integration") and each not in recovering]
    computing = [each for each in modules.values() if each not in recovering and each not in serving]
    apart = 1 + len(serving) // max(1, len(recovering))
    for number, module in enumerate(recovering):
        serving.insert(number * apart, module)
    return [item for module in (*serving, *computing) for item in module]


def _any_is(items: list[pytest.Item], marker: str) -> bool:
    return any(item.get_closest_marker(marker) for item in items)
