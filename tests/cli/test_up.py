from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shieldx.cli.up import partition_count
from shieldx.engine.topics.admin import ActualTopic
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result


def topics(counts: list[int]) -> dict[str, ActualTopic]:
    return {str(number): ActualTopic(partitions, 1, {}) for number, partitions in enumerate(counts)}


@pytest.mark.parametrize(("existing", "asked", "count"), [([], None, 12), ([], 3, 3), ([5, 5], None, 5), ([5], 5, 5)])
def test_existing_topics_decide_the_partition_count(existing: list[int], asked: int | None, count: int) -> None:
    assert partition_count(topics(existing), asked, default=12) == count


@pytest.mark.parametrize(
    ("existing", "asked", "message"),
    [
        ([5, 5], 6, r"the stack has 5 partitions, not 6\. .* --partitions 5, .* --grow, or .* `shieldx reset`"),
        ([5, 6], None, r"different partition counts \(5, 6\)\. Use `shieldx reset`"),
    ],
)
def test_another_count_is_refused(existing: list[int], asked: int | None, message: str) -> None:
    with pytest.raises(FixConfiguration, match=message):
        partition_count(topics(existing), asked, default=12)


def test_up_is_refused_with_another_cluster(shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "localhost:9092")
    result = shieldx("up")
    assert result.exit_code == 2
    assert "SHIELDX_KAFKA_BOOTSTRAP is set" in result.stderr
