"""Reading a trace, errors of invalid ones, and generating one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from shieldx.demo.generated_trace import SEED, generate_trace
from shieldx.demo.trace import FixTrace, TraceRow, read_trace

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
PUBLISHED = Path(__file__).parents[2] / "../shared/data/usage/AzureLLMInferenceTrace_code.csv"


@pytest.fixture
def trace_file(tmp_path: Path) -> Path:
    return tmp_path / "trace.csv"


def test_a_trace_is_read(trace_file: Path) -> None:
    trace_file.write_text(HEADER + "2024-01-31 12:00:00.9799600,4808,10\n2024-01-31 12:00:02.5,0,8\n")
    trace = read_trace(trace_file)
    assert trace.source == str(trace_file)
    assert trace.rows[0] == TraceRow(datetime(2024, 1, 31, 12, 0, 0, 979_960, tzinfo=UTC), 4808, 10)
    assert trace.rows[1][1:] == (0, 8)
    assert trace.span == timedelta(seconds=1, microseconds=520_040)


def test_columns_may_be_in_any_order_with_others_and_zones_are_kept(trace_file: Path) -> None:
    trace_file.write_text(
        "\ufeffid,GeneratedTokens, ContextTokens,TIMESTAMP\r\n1,2,3,2024-01-31T13:00:00+01:00\r\n\r\n", encoding="utf-8"
    )
    (row,) = read_trace(trace_file).rows
    assert row == TraceRow(datetime(2024, 1, 31, 12, tzinfo=UTC), 3, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; its first line must name the columns TIMESTAMP, ContextTokens, GeneratedTokens"),
        (HEADER, "has a header but no rows"),
        (
            "TIMESTAMP,Tokens\n",
            "line 1: missing column ContextTokens, GeneratedTokens; found: TIMESTAMP, Tokens",
        ),
        (HEADER + "2024-01-31,1,2\n2024-01-31,x,2\n", "line 3: ContextTokens is 'x', not an integer"),
        (HEADER + "2024-01-31,1,2.5\n", "line 2: GeneratedTokens is '2.5', not an integer"),
        (HEADER + "2024-01-31,1,-2\n", "line 2: GeneratedTokens is -2; expected 0 to 1,000,000,000"),
        (HEADER + "yesterday,1,2\n", "line 2: TIMESTAMP is 'yesterday', not a time; expected"),
        (HEADER + "2024-01-31,1\n", "line 2: 2 values, 3 columns"),
    ],
)
def test_a_wrong_trace_is_named_by_file_line_and_column(trace_file: Path, text: str, message: str) -> None:
    trace_file.write_text(text)
    with pytest.raises(FixTrace) as caught:
        read_trace(trace_file)
    assert str(trace_file) in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_or_binary_file_is_reported(trace_file: Path) -> None:
    with pytest.raises(FixTrace, match="No such file"):
        read_trace(trace_file)
    trace_file.write_bytes(HEADER.encode() + b"\xff\xfe\x00")
    with pytest.raises(FixTrace, match="not a CSV file in UTF-8"):
        read_trace(trace_file)


def test_a_published_trace_is_read() -> None:
    if not PUBLISHED.exists():
        pytest.skip(f"needs the published trace {PUBLISHED.name} in ../shared/data/usage next to the checkout")
    trace = read_trace(PUBLISHED)
    assert len(trace.rows) == 8819
    assert trace.rows[0][1:] == (4808, 10)


def test_a_seed_gives_one_trace_and_another_seed_another() -> None:
    trace = generate_trace(SEED)
    assert trace == generate_trace(SEED)
    assert trace.rows != generate_trace(SEED + 1).rows
    assert str(SEED) in trace.source


def test_a_generated_trace_looks_like_usage() -> None:
    rows = generate_trace(SEED).rows
    assert all(row.context_tokens > 0 and row.generated_tokens > 0 for row in rows)
    gaps_s = sorted((after.at - before.at).total_seconds() for before, after in pairwise(rows))
    assert gaps_s[0] >= 0
    assert gaps_s[len(gaps_s) // 4] < 0.05  # in bursts
    assert gaps_s[-len(gaps_s) // 4] > 0.5  # between them
    contexts = sorted(row.context_tokens for row in rows)
    assert contexts[-len(contexts) // 100] > 5 * contexts[len(contexts) // 2]  # a long tail
