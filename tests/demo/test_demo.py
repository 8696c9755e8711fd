"""The demo from its user's point of view: progress, tables, an exit code, and no remains."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from shieldx.bootstrap.worker_environment import worker_environment
from shieldx.demo.__main__ import DIFFERENCES, EXIT_DIFFERENCES, EXIT_INTERRUPTED, conclude
from shieldx.demo.audit_log import AuditLog
from shieldx.demo.comparison import compare
from shieldx.demo.generated_trace import SEED, generate_trace
from shieldx.demo.recount import recount
from shieldx.demo.replay import Throughput
from shieldx.demo.report import percentile_ms
from shieldx.demo.results import ResultFigures
from shieldx.demo.run import ReplayMeasurements, ReplayPlan, RunOutcome
from shieldx.demo.story import SHORT_OF_CREDITS, TENANTS, Story
from shieldx.dev.worker_process import ReadTheAgentLog, WorkerProcess
from shieldx.domains.audit.breaks import Break, BreakKind
from shieldx.domains.audit.joining import Verdict
from shieldx.settings import Settings
from tests import programs
from tests.demo.ledger_in_memory import PARTITIONS, LedgerInMemory

if TYPE_CHECKING:
    from shieldx.demo.trace import TraceRow

ROWS = 300
WHOLE = Verdict(0, [], [])
PLAN = ReplayPlan(generate_trace(SEED, ROWS), seconds=4, per_second=1000)


WRONG_AGENT = """
from msgspec.structs import replace
from shieldx.domains.credits import tables
from shieldx.domains.credits.answers import unreadable
from shieldx.domains.credits.fold import CreditsFold
from shieldx.domains.credits.messages import Consume
from shieldx.domains.credits.state import STATE
from shieldx.engine.declarations.transactional import TransactionalAgent

class Generous(CreditsFold):
    def apply(self, command, source):
        if isinstance(command, Consume) and command.idempotency_key == "0-0":
            command = replace(command, amount=command.amount - 1)
        return super().apply(command, source)

agent = TransactionalAgent(
    name="credits",
    reads=(tables.COMMANDS,),
    fold=Generous,
    writes=(tables.RESULTS, tables.AUDIT),
    unreadable=unreadable,
    state=STATE,
)
"""


def start_demo(folder: Path, *arguments: str, **environment: str) -> programs.Program:
    """With `folder` as the one for temporary files."""
    return programs.start(
        [sys.executable, "-m", "shieldx.demo", *arguments],
        env=os.environ | {"TMPDIR": str(folder), "TRACE": ""} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def processes_in(folder: Path) -> list[str]:
    """Whatever runs with the folder in its command line or as its own."""
    listing = programs.run(["/bin/ps", "-e", "-ww", "-o", "args="], check=True)
    return [line for line in listing.stdout.splitlines() if str(folder) in line]


@pytest.mark.integration
def test_a_short_run_agrees_and_leaves_nothing(tmp_path: Path) -> None:
    demo = start_demo(tmp_path, "--seconds", "4")
    out, err = demo.communicate(timeout=150)
    assert demo.returncode == 0, err + out
    assert "generated from seed" in out
    for heading in ("Commands by type", "Results by code", "throughput, unthrottled", "latency, p99", "Balances"):
        assert heading in out
    assert f"recount: {len(TENANTS)} of {len(TENANTS)} tenants agree" in out
    assert "entries in 4 shards, intact" in out
    assert "unthrottled" in err
    assert "paced at 1,000/s" in err
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


@pytest.mark.integration
def test_a_ledger_that_gives_one_credit_away_is_found(tmp_path: Path) -> None:
    temporary, home, trace = tmp_path / "temporary", tmp_path / "home", tmp_path / "trace.csv"
    temporary.mkdir()
    (home / "agents").mkdir(parents=True)
    (home / "agents/credits.py").write_text(WRONG_AGENT)
    (home / "agents/audit.py").symlink_to(Path(__file__).parents[2] / "agents/audit.py")
    (home / "topics").symlink_to(Path(__file__).parents[2] / "topics")
    row = next(row for row in PLAN.trace.rows if is_consumed(row))
    trace.write_text(f"TIMESTAMP,ContextTokens,GeneratedTokens\n{row.at},{row.context_tokens},{row.generated_tokens}\n")
    demo = start_demo(temporary, "--seconds", "1", "--trace", str(trace), SHIELDX_HOME=str(home))
    out, err = demo.communicate(timeout=150)
    assert demo.returncode == EXIT_DIFFERENCES, err + out
    assert f"recount: {len(TENANTS) - 1} of {len(TENANTS)} tenants agree" in out
    (kept,) = temporary.iterdir()
    differences = (kept / DIFFERENCES).read_text().splitlines()
    assert len(differences) == 2  # the tenant's last result, and its row
    assert differences[0].split(":")[0] == differences[1].split(":")[0]


def is_consumed(row: TraceRow) -> bool:
    """Whether the row, alone in a trace, is a consume of a tenant with enough credits."""
    steps = Story(PLAN.trace._replace(rows=[row]), PARTITIONS).next_row()
    return [step.kind for step in steps] == ["purchase", "consume"] and steps[1].tenant_id not in SHORT_OF_CREDITS


@pytest.mark.integration
def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    demo = start_demo(tmp_path)
    assert demo.stderr is not None
    for line in demo.stderr:
        if "unthrottled" in line:
            break
    assert processes_in(tmp_path)
    demo.send_signal(signal.SIGTERM)
    _, err = demo.communicate(timeout=60)
    assert demo.returncode == EXIT_INTERRUPTED, err
    assert "interrupted; everything has been stopped" in err
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


def test_a_trace_that_cannot_be_used_is_named_before_anything_starts(tmp_path: Path) -> None:
    demo = start_demo(tmp_path, "--trace", str(tmp_path / "none.csv"))
    out, err = demo.communicate(timeout=30)
    assert (demo.returncode, out) == (2, "")
    assert err == f"FixTrace: {tmp_path / 'none.csv'}: No such file or directory\n"


async def test_an_agent_that_exits_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    empty = tmp_path / "home"
    empty.mkdir()
    environment = worker_environment(Settings(home=empty), "127.0.0.1:1")
    async with WorkerProcess("credits", tmp_path, environment) as agent:
        with pytest.raises(ReadTheAgentLog, match="exited with status") as caught:
            await agent.watch()
    last_line = (tmp_path / "agent.log").read_text().splitlines()[-1]
    assert last_line in str(caught.value)


def test_a_wrong_balance_is_reported_and_makes_the_exit_code_1(tmp_path: Path) -> None:
    ledger = LedgerInMemory(Story(PLAN.trace, PARTITIONS))
    ledger.play(ROWS)
    tenant_id = TENANTS[0]
    last = ledger.answers.last_figures[tenant_id]
    ledger.answers.last_figures[tenant_id] = ResultFigures(
        last.balance + 1, last.reserved_funds, last.available + 1, last.total_spent - 1, last.total_purchased
    )
    code, text = concluded(ledger, tmp_path)
    assert code == EXIT_DIFFERENCES == 1
    assert f"recount: {len(TENANTS) - 1} of {len(TENANTS)} tenants agree" in text
    assert "Differences (1):" in text
    assert f"{tenant_id}: its last result has balance {last.balance + 1:,}" in text
    assert (tmp_path / "run" / DIFFERENCES).read_text().startswith(f"{tenant_id}: its last result has")


def test_right_balances_make_the_exit_code_0(tmp_path: Path) -> None:
    ledger = LedgerInMemory(Story(PLAN.trace, PARTITIONS))
    ledger.play(ROWS)
    code, text = concluded(ledger, tmp_path)
    assert code == 0
    assert "no figure is negative" in text
    assert not (tmp_path / "run").exists()


def test_an_audit_log_that_is_not_whole_makes_the_exit_code_1(tmp_path: Path) -> None:
    ledger = LedgerInMemory(Story(PLAN.trace, PARTITIONS))
    ledger.play(ROWS)
    lost = Break(BreakKind.GAP, 2, 17, 18, None, "missing")
    code, text = concluded(ledger, tmp_path, Verdict(100, [], [lost]))
    assert code == EXIT_DIFFERENCES
    assert "audit log: 100 entries in 0 shards, BROKEN" in text
    assert "gap in shard 2, entries 17 to 18: missing" in text


def concluded(ledger: LedgerInMemory, tmp_path: Path, audit: Verdict = WHOLE) -> tuple[int, str]:
    folder = tmp_path / "run"
    folder.mkdir()
    outcome = RunOutcome(
        ReplayMeasurements(Throughput(1000, 0.5), [0.01, 0.02], 4.0, 1.0),
        ledger.sent,
        ledger.answers,
        compare(recount(ledger.sent, ledger.log), ledger.observed),
        AuditLog(audit, 1.0, 0.5),
        0.0,
    )
    text = StringIO()
    return conclude(PLAN, outcome, folder, Console(file=text, width=200)), text.getvalue()


def test_percentiles_are_measured_values() -> None:
    latencies_s = [number / 1000 for number in range(1, 201)]
    assert [percentile_ms(latencies_s, percent) for percent in (50, 95, 99)] == [100.0, 190.0, 198.0]
    assert percentile_ms([0.004], 99) == 4.0
