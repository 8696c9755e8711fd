"""Commands whose agent does not run, and what becomes of what they sent once it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.domains.shadow.rule import Signature
from tests.cli.cli_stack import PARTITIONS, CliStack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

APPEND = ("audit", "append", "--tenant", "acme", "--action", "user.login", "--subject", "user/7")
ONCE = ("--key", "waits", "--at", "2026-11-22T13:07:11Z")
BRIEFLY = ("--timeout-s", "1")
PUT = ("rule", "put", "-", "--id", "r", "--tenant", "acme")
RULE = msgspec.json.encode(Signature(pattern="' or 1=1")).decode()


@pytest.mark.usefixtures("kafka_installed")
def test_a_command_says_that_its_agent_may_not_be_running_and_what_was_sent_waits_for_it(
    tmp_path: Path, ring: Path
) -> None:
    place = CliStack(tmp_path / "stack")
    with place.running("--agent", "credits", "--partitions", str(PARTITIONS)):
        put = place.call(*PUT, *BRIEFLY, given=RULE)
        assert (put.returncode, put.stdout) == (1, "")
        assert "in dead-letters, shadow.results within 1 s: agent shadow may not be running" in put.stderr
        rotated = place.call("audit", "rotate", "k2", *BRIEFLY, "--json")
        assert rotated.returncode == 1
        assert "this command has no keyring configured" in rotated.stderr
        assert rotated.stdout.count("the audit agent may not be running") == PARTITIONS
        appended = place.call(*APPEND, *ONCE, *BRIEFLY)
        assert (appended.returncode, appended.stdout) == (1, "")
        assert "the audit agent may not be running" in appended.stderr
    place.environment["SHIELDX_AUDIT_KEYRING_FILE"] = str(ring)
    with place.running("--agent", "shadow", "--agent", "audit"):
        (put_again,) = place.read(*PUT, given=RULE)
        assert put_again["code"] == "unchanged"
        appended_again = place.call(*APPEND, *ONCE)
        assert (appended_again.returncode, appended_again.stdout) == (0, "")
        assert "was already chained within the last 24 hours" in appended_again.stderr
        shards = place.read("audit", "rotate", "k2", "--json")
        fewest, most = sorted(shard["sequence"] for shard in shards)
        assert fewest >= 1, "behind the rotation that waited"
        assert most >= 2, "behind the append that waited, too"
