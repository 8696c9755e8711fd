"""What test_interrupted_runs interrupts. Its file name keeps it out of every other run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.cli_stack import CliStack

READY_FILE = "HELD_RUN_READY_FILE"


@pytest.mark.integration
@pytest.mark.usefixtures("kafka", "postgres")
def test_a_stack_of_three_brokers_is_up_until_the_run_is_interrupted(tmp_path: Path) -> None:
    up = CliStack(tmp_path / "stack").up("--brokers", "3", "--partitions", "1", "--agent", "credits")
    Path(os.environ[READY_FILE]).touch()
    up.wait()
