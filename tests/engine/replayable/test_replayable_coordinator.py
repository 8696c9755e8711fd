"""A replayable agent's group whose coordinator is away for a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.echo_agent import PARTITIONS, Ask, Echoing
from tests.engine.echo_platform import new_platform
from tests.kafka_proxy import kafka_proxy

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

OLD, NEW = 1500, 40


async def test_no_old_record_is_answered_again_when_the_coordinator_of_the_group_moves(
    kafka: str, tmp_path: Path
) -> None:
    async with kafka_proxy(kafka) as proxy, new_platform(proxy.bootstrap, tmp_path) as echoing:
        async with echoing.worker():
            await echoing.send(*(Ask(number=number) for number in range(OLD)))
            await echoing.until_committed(dict.fromkeys(range(PARTITIONS), OLD // PARTITIONS))
        again = Echoing(echoing.names.echoes)
        proxy.refuse_offsets(for_s=1.5)
        async with echoing.worker(again):
            await echoing.send(*(Ask(number=number) for number in range(OLD, OLD + NEW)))
            await echoing.echoes(range(OLD + NEW))
        assert proxy.refused
    assert sorted(again.asked) == [*range(OLD, OLD + NEW)]
