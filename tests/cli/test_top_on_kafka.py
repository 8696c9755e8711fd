"""`shieldx top` on a real stack."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from shieldx.cli.main import main
from tests import programs

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

SHIELDX = Path(sys.executable).parent / "shieldx"
TIMEOUT_S = 60
COMMANDS = "".join(
    json.dumps({"type": "purchase", "tenant_id": f"org-{n}", "idempotency_key": "k", "amount": 1}) + "\n"
    for n in range(50)
)


def start(folder: Path, *arguments: str) -> programs.Program:
    given = {name: value for name, value in os.environ.items() if not name.startswith("SHIELDX_")}
    given |= {name: os.environ[name] for name in ("SHIELDX_JAVA",) if name in os.environ}
    return programs.start(
        [SHIELDX, *arguments],
        env=given | {"SHIELDX_STACK_FOLDER": str(folder), "NO_COLOR": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def stop(process: programs.Program) -> None:
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors


@pytest.mark.integration
def test_a_stack_is_watched_at_work_and_after_its_end(kafka_installed: None, tmp_path: Path) -> None:  # noqa: ARG001
    up = start(tmp_path, "up", "--partitions", "2", "--agent", "credits")
    assert up.stdout is not None
    assert any("stops it" in line for line in up.stdout)
    top = start(tmp_path, "top", "--json", "--interval", "0.1")
    assert top.stdout is not None
    boards = map(json.loads, top.stdout)
    try:
        assert next(boards)["workers"][0]["state"] == "running"
        start(tmp_path, "send", "--no-wait", "-").communicate(COMMANDS, timeout=TIMEOUT_S)
        (agent,) = next(board for board in boards if board["records_per_s"])["agents"]
        assert agent["agent"] == "credits"
        assert agent["commit_p50_ms"] > 0
        assert agent["records_per_transaction"] >= 1
        assert [row["partition"] for row in agent["partitions"]] == [0, 1]
        once = CliRunner().invoke(
            main, ["top", "--once", "--interval", "0.1"], env={"SHIELDX_STACK_FOLDER": str(tmp_path)}
        )
        assert "1 worker, 1 agent, 2 partitions" in once.stdout
    finally:
        stop(up)
    gone = next(board for board in boards if board["workers"][0]["state"] == "no answer")
    assert gone["agents"][0]["state"] == "no answer"
    stop(top)


def test_without_a_worker_the_remedy_is_named(shieldx: Callable[..., Result]) -> None:
    result = shieldx("top", "--once")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Run `shieldx up`, or specify workers" in result.stderr
