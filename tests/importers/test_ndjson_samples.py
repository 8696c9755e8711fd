"""Samples in JSON, one per line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.domains.shadow.sample import MAX_BODY_BYTES, Request, Sample
from shieldx.importers.bounded_lines import MAX_LINE_BYTES
from shieldx.importers.imported import FixInput, Skipped
from shieldx.importers.ndjson_samples import import_ndjson, samples_of_ndjson

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = Sample(
    label="attack",
    category="sqli",
    source="proxy/1",
    request=Request(method="POST", uri="/a", headers=(("A", "\u00fc"), ("A", "2")), body=b"\x00\xff"),
    expected_rules=("942100",),
    unexpected_rules=("942200",),
)


def line(**fields: object) -> bytes:
    return json.dumps({"label": "benign", "category": "c", "source": "s", "request": {}} | fields).encode()


def test_a_sample_comes_back_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "traffic.ndjson"
    file.write_bytes(b"\xef\xbb\xbf" + msgspec.json.encode(SAMPLE) + b"\r\n\n" + line() + b"\n" + line(source="t"))
    assert list(import_ndjson(file)) == [
        SAMPLE,
        Sample(label="benign", category="c", source="s", request=Request()),
        Sample(label="benign", category="c", source="t", request=Request()),
    ]


def test_a_body_may_be_text() -> None:
    (sample,) = samples_of_ndjson([line(request={"body_text": "a=\u00fc"})], "f")
    assert isinstance(sample, Sample)
    assert sample.request == Request(body="a=\u00fc".encode())


@pytest.mark.parametrize(
    ("content", "reason", "detail"),
    [
        (b"{", "unreadable", "Input data was truncated"),
        (b"[]", "malformed", "$: Expected `object`, got `array`"),
        (b'{"label": "\xff"}', "not UTF-8", ""),
        (line(label="secret"), "malformed", "$.label: Not an allowed value"),
        (line(category=""), "malformed", "$.category: Expected `str` of length >= 1"),
        (line(source="s" * 257), "too large", "$.source: Expected `str` of length <= 256"),
        (line(request={"headers": [["a"]]}), "malformed", "$.request.headers[0]: Expected `array` of length 2"),
        (line(request={"body": "secret"}), "malformed", "$.request.body: Invalid base64 encoded string"),
        (
            line(request={"body": "YQ==", "body_text": "a"}),
            "malformed",
            "$.request: both body and body_text; remove one",
        ),
        (
            line(request={"body_text": "a" * (MAX_BODY_BYTES + 1)}),
            "too large",
            "a body of 700,001 bytes; at most 700,000",
        ),
        (b'{"label": "attack"}', "malformed", "$: Object missing required field `category`"),
        (None, "too large", "a line of more than 8,388,608 bytes"),
    ],
)
def test_a_bad_line_is_skipped_with_its_number_and_the_path_of_what_is_wrong(
    content: bytes | None, reason: str, detail: str
) -> None:
    before, result, after = samples_of_ndjson([line(), content, line()], "traffic.ndjson")
    assert isinstance(result, Skipped)
    assert isinstance(before, Sample)
    assert after == before
    assert (result.source, result.reason) == ("traffic.ndjson#2", reason)
    assert detail in result.detail
    assert "secret" not in result.detail


def test_a_line_that_never_ends_does_not_fill_the_memory(tmp_path: Path) -> None:
    file = tmp_path / "traffic.ndjson"
    file.write_bytes(b"a" * (MAX_LINE_BYTES * 2 + 5) + b"\n" + line() + b"\n" + b"b" * (MAX_LINE_BYTES + 1))
    first, second, third = import_ndjson(file)
    assert isinstance(first, Skipped)
    assert isinstance(second, Sample)
    assert isinstance(third, Skipped)
    assert (first.source, third.source) == ("traffic.ndjson#1", "traffic.ndjson#3")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FixInput, match=r"cannot read .*: No such file or directory"):
        list(import_ndjson(tmp_path / "nowhere"))
