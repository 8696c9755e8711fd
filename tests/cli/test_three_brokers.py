"""`shieldx up --brokers 3` as processes: replicated topics, and a broker that dies."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.cli.cli_stack import CliStack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

COMMAND = '{"type":"purchase","tenant_id":"t","idempotency_key":"%s","amount":1}\n'


@pytest.mark.usefixtures("kafka_installed")
def test_a_broker_that_dies_is_named_and_started_again_and_commands_are_answered(tmp_path: Path) -> None:
    place = CliStack(tmp_path / "stack")
    with place.running("--brokers", "3", "--partitions", "2", "--agent", "credits") as process:
        assert {topic["replication"] for topic in place.read("topics", "list", "--json")} == {3}
        assert place.stack["brokers"] == 3
        os.kill(int((place.folder / "kafka" / "2" / "pid").read_text()), signal.SIGKILL)
        assert process.stderr is not None
        said = [next(process.stderr) for _ in range(4)]
        assert said[2].startswith("broker 2 of 3: the broker exited with status -9; its log ")
        assert said[3] == "broker 2 of 3 is running again\n"
        done = place.call("send", "-", given=COMMAND % "after")
        assert json.loads(done.stdout)["code"] == "ok"
    refused = place.call("up", "--brokers", "1")
    assert refused.returncode == 2
    assert "the stack has 3 brokers, not 1" in refused.stderr
    assert "--brokers 3, or delete all its data with `shieldx reset`" in refused.stderr
