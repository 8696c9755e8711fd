from __future__ import annotations

import pytest

from shieldx.bootstrap.platform import Platform
from shieldx.cli.topics import remedy
from shieldx.engine.topics.admin import Difference
from shieldx.settings import Settings


@pytest.mark.parametrize(
    ("difference", "start"),
    [
        (Difference("t", "topic", "exists", None), "shieldx topics create"),
        (Difference("t", "partitions", "12", "3"), "set SHIELDX_PARTITIONS=3"),
        (
            Difference("t", "retention.ms", "60000", "1"),
            "kafka-configs.sh --bootstrap-server localhost:1 --alter --entity-type topics --entity-name t --add",
        ),
    ],
)
def test_each_difference_has_a_remedy(difference: Difference, start: str) -> None:
    assert remedy(difference, Platform(Settings(), bootstrap="localhost:1")).startswith(start)
