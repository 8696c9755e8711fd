"""A pool whose processes die, hang and are sent signals."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from shieldx.errors import RestoreTask
from shieldx.evaluators.errors import AnswerWithError
from shieldx.evaluators.judging import JudgingRequest
from shieldx.evaluators.metrics import EvaluatorMetrics
from shieldx.evaluators.pool import PORTION_BYTES, Pool
from tests import programs
from tests.evaluators import judging_functions
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.evaluators.judging import JudgedSamples

FAR_S = 3600.0
TESTS = Path(__file__).parent


def work(*samples: bytes) -> JudgingRequest:
    return JudgingRequest(b"", None, samples)


def pool_of(
    processes: int, judging: Callable[[JudgingRequest], JudgedSamples], *, hangs_after_s: float = FAR_S
) -> Pool:
    return Pool(processes, EvaluatorMetrics(CollectorRegistry()), judging=judging, hangs_after_s=hangs_after_s)


async def test_batches_are_judged_side_by_side() -> None:
    registry = CollectorRegistry()
    async with Pool(2, EvaluatorMetrics(registry), judging=judging_functions.answer) as pool:
        assert registry.get_sample_value("shadow_pool_processes") == 2
        judged = await asyncio.gather(*(pool.judge(work(b"a", b"b")) for _ in range(20)))
        assert {each.outcomes.fired for each in judged} == {"00"}
        assert {source for each in judged for source in each.sources} <= set(map(str, pool.pids))
        assert registry.get_sample_value("shadow_samples_judged_total") == 40
        assert registry.get_sample_value("shadow_pool_busy") == 0
    assert pool.pids == []


async def test_a_process_that_is_killed_is_replaced_and_its_batch_judged() -> None:
    async with pool_of(1, judging_functions.answer) as pool:
        (before,) = pool.pids
        os.kill(before, signal.SIGKILL)
        judged = await pool.judge(work(b"a"))
        assert judged.outcomes.fired == "0"
        assert judged.sources == (str(pool.pids[0]),)
        assert pool.pids != [before]


async def test_a_batch_whose_process_dies_under_it_is_judged_by_the_next(tmp_path: Path) -> None:
    async with pool_of(1, judging_functions.die_once) as pool:
        judged = await pool.judge(work(str(tmp_path / "died").encode()))
        assert judged.outcomes.fired == "0"


async def test_a_batch_that_repeatedly_kills_its_process_is_given_up_without_affecting_others() -> None:
    async with pool_of(2, judging_functions.die_on_command) as pool:
        others = [asyncio.create_task(pool.judge(work(b"a"))) for _ in range(20)]
        with pytest.raises(AnswerWithError, match="3 processes in a row died or hung while judging 1 samples"):
            await pool.judge(work(b"die"))
        assert {judged.outcomes.fired for judged in await asyncio.gather(*others)} == {"0"}
        assert (await pool.judge(work(b"a"))).outcomes.fired == "0"


async def test_a_batch_that_makes_every_process_hang_is_given_up_and_the_next_is_judged() -> None:
    async with pool_of(1, judging_functions.hang_on_command, hangs_after_s=0.5) as pool:
        (before,) = pool.pids
        with pytest.raises(AnswerWithError, match=r"3 processes in a row died or hung while judging 1 samples"):
            await pool.judge(work(b"hang"))
        await until(lambda: not is_there(before))
        assert (await pool.judge(work(b"a"))).sources == (str(pool.pids[0]),)
        assert pool.pids != [before]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory another process takes")
async def test_a_process_that_takes_too_much_memory_is_replaced_after_its_batch() -> None:
    metrics = EvaluatorMetrics(CollectorRegistry())
    async with Pool(1, metrics, judging=judging_functions.grow, process_bytes=256 * 1024 * 1024) as pool:
        judges = [(await pool.judge(work(b"a"))).sources for _ in range(8)]
    assert len(set(judges)) > 1
    assert len(set(judges)) < len(judges)


async def test_a_cancelled_batch_frees_its_process(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    async with pool_of(1, judging_functions.wait_for_file) as pool:
        waiting = asyncio.create_task(pool.judge(work(str(begun).encode(), str(tmp_path / "never").encode())))
        await until(begun.exists)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        (tmp_path / "end").touch()
        judged = await pool.judge(work(str(begun).encode(), str(tmp_path / "end").encode()))
        assert judged.outcomes.fired == "00"


async def test_large_samples_cross_in_portions_and_come_back_as_one() -> None:
    whole, half = PORTION_BYTES, PORTION_BYTES // 2
    sizes = [whole, 10, half, half, half, 0, whole + 1]
    async with pool_of(1, judging_functions.weigh) as pool:
        judged = await pool.judge(work(*(bytes(size) for size in sizes)))
    portions = [whole, half + 10, half + 10, whole, whole, whole, whole + 1]
    assert judged.sources == tuple(map(str, portions))
    assert judged.outcomes.fired == "0" * len(sizes)
    assert len(judged.latencies_ns) == len(sizes)


async def test_a_frozen_process_is_killed_while_much_is_sent_to_it_and_its_batch_judged_by_another() -> None:
    async with pool_of(1, judging_functions.answer, hangs_after_s=2) as pool:
        (before,) = pool.pids
        os.kill(before, signal.SIGSTOP)
        assert (await pool.judge(work(bytes(PORTION_BYTES)))).outcomes.fired == "0"
        assert not is_there(before)


DYING = """
import os, pathlib, signal, sys
deaths = pathlib.Path(__file__).parent / "deaths"
if "--multiprocessing-fork" in sys.orig_argv and len(deaths.read_bytes()) < {deaths}:
    with deaths.open("ab") as file:
        file.write(b".")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def let_processes_die_as_they_start(folder: Path, deaths: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of such processes, identified by what each Python imports first."""
    (folder / "sitecustomize.py").write_text(DYING.format(deaths=deaths))
    (folder / "deaths").touch()
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


async def test_a_process_that_dies_during_start_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_processes_die_as_they_start(tmp_path, 2, monkeypatch)
    async with pool_of(1, judging_functions.answer) as pool:
        assert (tmp_path / "deaths").read_bytes() == b".."
        assert (await pool.judge(work(b"a"))).outcomes.fired == "0"


async def test_a_pool_whose_processes_repeatedly_die_during_start_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_processes_die_as_they_start(tmp_path, 3, monkeypatch)
    pool = pool_of(1, judging_functions.answer)
    with pytest.raises(RestoreTask, match="a judging process died during its start"):
        await pool.__aenter__()
    assert pool.pids == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_to_the_group_let_the_work_be_finished(tmp_path: Path, number: signal.Signals) -> None:
    process = await pool_at_work(tmp_path)
    os.killpg(process.pid, number)
    (tmp_path / "end").touch()
    output, errors = await process.communicate()
    assert (output, errors, process.returncode) == (b"00", b"", 0)


async def test_processes_end_with_one_that_is_killed(tmp_path: Path) -> None:
    process = await pool_at_work(tmp_path)
    process.kill()
    async with asyncio.timeout(30):
        output, _ = await process.communicate()  # it ends when no process has it open
    assert output == b""


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def pool_at_work(folder: Path) -> asyncio.subprocess.Process:
    process = await programs.start_awaitable(
        [sys.executable, TESTS / "pool_in_process.py", folder / "begun", folder / "end"],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    await until((folder / "begun").exists)
    return process
