"""The story of a trace is always the same and contains every case."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.demo.comparison import compare
from shieldx.demo.generated_trace import SEED, generate_trace
from shieldx.demo.recount import recount
from shieldx.demo.story import SHORT_OF_CREDITS, TENANTS, Story
from shieldx.domains.credits.messages import Code
from tests.demo.ledger_in_memory import PARTITIONS, LedgerInMemory

if TYPE_CHECKING:
    from shieldx.demo.steps import Step

TRACE = generate_trace(SEED)
ROWS = len(TRACE.rows)


@pytest.fixture(scope="module")
def played() -> LedgerInMemory:
    """One and a half rounds."""
    ledger = LedgerInMemory(Story(TRACE, PARTITIONS))
    ledger.play(ROWS * 3 // 2)
    return ledger


def steps_of(story: Story, rows: int) -> list[Step]:
    return [*story.opening(), *(step for _ in range(rows) for step in story.next_row()), *story.rest()]


def test_a_trace_tells_one_story() -> None:
    story = Story(TRACE, PARTITIONS)
    assert steps_of(story, 2 * ROWS) == steps_of(Story(TRACE, PARTITIONS), 2 * ROWS)
    assert story.rounds == 2


def test_what_results_lead_to_is_the_same_too(played: LedgerInMemory) -> None:
    again = LedgerInMemory(Story(TRACE, PARTITIONS))
    again.play(ROWS * 3 // 2)
    assert again.sent == played.sent
    assert again.log == played.log


def test_a_round_repeats_the_trace_under_new_keys() -> None:
    trace = TRACE._replace(rows=TRACE.rows[:200])
    story = Story(trace, PARTITIONS)
    first, second = ([s for _ in trace.rows for s in story.next_row()] + story.rest() for _ in range(2))
    assert len(first) == len(second)

    def without_round(step: Step) -> bytes:
        return step.value.replace(b'"1-', b'"0-')

    assert sorted(map(without_round, first)) == sorted(map(without_round, second))
    assert not {step.value for step in first if not step.dead_letter} & {step.value for step in second}


def test_every_type_of_command_is_sent(played: LedgerInMemory) -> None:
    kinds = {step.kind for step in played.sent}
    assert kinds == {
        *("purchase", "consume", "reserve", "commit", "abort", "refund", "batch"),
        *("unreadable", "wrong key"),
    }


def test_every_code_is_given_but_for_names_of_agents_and_the_largest_result(played: LedgerInMemory) -> None:
    codes = {result.code for result in played.results}
    assert codes == set(Code) - {Code.RESERVED_NAME, Code.RESULT_TOO_LARGE}


def test_batches_commit_and_abort_and_are_replayed(played: LedgerInMemory) -> None:
    batches = Counter((r.code, r.replayed) for r in played.results if r.type == "batch")
    assert batches.keys() == {(Code.OK, False), (Code.OK, True), (Code.BATCH_ABORTED, False)}


def test_holds_expire_and_late_commits_are_refused(played: LedgerInMemory) -> None:
    expired = sum(result.type == "expire" for result in played.results)
    late = sum(result.code is Code.RESERVATION_EXPIRED for result in played.results)
    assert expired == late > 10


def test_nothing_stays_held(played: LedgerInMemory) -> None:
    assert {figures.reserved for figures in played.table.values()} == {0}


def test_short_tenants_run_out_of_credits(played: LedgerInMemory) -> None:
    refused = Counter(r.tenant_id for r in played.results if r.code is Code.INSUFFICIENT_FUNDS)
    assert refused.keys() >= SHORT_OF_CREDITS
    assert played.table.keys() == set(TENANTS)


def test_records_are_misplaced_and_dead_lettered(played: LedgerInMemory) -> None:
    assert any(step.partition != step.home for step in played.sent)
    assert {letter.reason for letter in played.dead_letters} == {"unreadable", "key_differs"}


def test_the_recount_agrees_with_the_ledger(played: LedgerInMemory) -> None:
    comparison = compare(recount(played.sent, played.log), played.observed)
    assert comparison.differences == []
    assert comparison.agreeing == len(TENANTS)


def test_a_trace_of_one_row_is_enough() -> None:
    ledger = LedgerInMemory(Story(TRACE._replace(rows=TRACE.rows[:1]), PARTITIONS))
    ledger.play(50)
    assert compare(recount(ledger.sent, ledger.log), ledger.observed).differences == []


def test_rows_without_tokens_are_accepted() -> None:
    rows = [row._replace(context_tokens=0, generated_tokens=0) for row in TRACE.rows[:600]]
    ledger = LedgerInMemory(Story(TRACE._replace(rows=rows), PARTITIONS))
    ledger.play(600)
    assert compare(recount(ledger.sent, ledger.log), ledger.observed).differences == []


def test_values_are_json_except_truncated_ones(played: LedgerInMemory) -> None:
    for step in played.sent:
        if step.dead_letter is None:
            assert msgspec.json.decode(step.value)["tenant_id"] == step.tenant_id
