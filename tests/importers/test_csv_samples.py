"""Samples from CSV tables, with a mapping of their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.domains.shadow.sample import MAX_BODY_BYTES, Request, Sample
from shieldx.importers.bounded_lines import MAX_LINE_BYTES
from shieldx.importers.csv_samples import Mapping, import_csv, samples_of_csv
from shieldx.importers.imported import FixInput, Imported, Skipped

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = Mapping(columns={"label": "class", "uri": "url", "body": "content"}, constants={"category": "csic"})


def read(text: str | bytes, mapping: Mapping = PLAIN) -> Imported:
    content = text.encode() if isinstance(text, str) else text
    return samples_of_csv(content.splitlines(keepends=True), "traffic.csv", mapping)


def test_columns_and_constants_make_a_sample(tmp_path: Path) -> None:
    file = tmp_path / "traffic.csv"
    file.write_bytes(
        b"\xef\xbb\xbfid;class; verb ;url;version;agent;cookie;all;content\r\n"
        b'r1;Anomalous;PUT;"/a;b";HTTP/1.0;curl;;"A: 1\r\nB:2";"x=\xc3\xbc\r\n"\r\n'
        b"\r\n"
        b";0;;;;;c=1;;\r\n"
    )
    mapping = Mapping(
        columns={
            "source": "id",
            "label": "class",
            "method": "verb",
            "uri": "url",
            "protocol": "version",
            "headers": "all",
            "body": "content",
        },
        constants={"category": "csic"},
        headers={"agent": "User-Agent", "cookie": "Cookie"},
        delimiter=";",
    )
    assert list(import_csv(file, mapping)) == [
        Sample(
            label="attack",
            category="csic",
            source="r1",
            request=Request(
                method="PUT",
                uri="/a;b",
                protocol="HTTP/1.0",
                headers=(("A", "1"), ("B", "2"), ("User-Agent", "curl")),
                body="x=\u00fc\r\n".encode(),
            ),
        ),
        Sample(label="benign", category="csic", source="traffic.csv#6", request=Request(headers=(("Cookie", "c=1"),))),
    ]


def test_only_spaces_and_tabs_around_a_part_of_a_request_are_removed() -> None:
    mapping = Mapping(
        columns={"method": "m", "uri": "u", "protocol": "p", "headers": "h"},
        constants={"label": "attack", "category": "c"},
    )
    (sample,) = read(
        "m,u,p,h\n"
        "\tGE\u2028T , \xa0/a\x85?b=\u3000\x1c,HTTP/1.1\xa0,"
        '"A: \xa01\u2028B: 2\x85\r\n\x0bC: 3\r\nD : \x1c4\t\r\n  E: 5"\n',
        mapping,
    )
    assert isinstance(sample, Sample)
    assert sample.request == Request(
        method="GE\u2028T",
        uri="\xa0/a\x85?b=\u3000\x1c",
        protocol="HTTP/1.1\xa0",
        headers=(("A", "\xa01\u2028B: 2\x85"), ("\x0bC", "3"), ("D", "\x1c4 E: 5")),
    )


def test_a_mapping_may_be_written_as_json() -> None:
    text = b'{"columns": {"label": "class"}, "constants": {"category": "c"}, "attack": ["bad"], "benign": ["good"]}'
    mapping = msgspec.json.decode(text, type=Mapping)
    good, bad, other = read("class\ngood\nBAD\n1\n", mapping)
    assert isinstance(good, Sample)
    assert isinstance(bad, Sample)
    assert (good.label, bad.label) == ("benign", "attack")
    detail = "column 'class': value is not a label for attack or benign"
    assert other == Skipped("traffic.csv#4", "unknown label", detail)


def test_every_row_may_have_the_same_label() -> None:
    mapping = Mapping(columns={"uri": "url"}, constants={"label": "benign", "category": "c"})
    assert [sample.label for sample in read("url\n/a\n/b\n", mapping) if isinstance(sample, Sample)] == ["benign"] * 2


def test_a_body_may_be_base64() -> None:
    mapping = Mapping(columns={"body_base64": "b"}, constants={"label": "attack", "category": "c"})
    good, bad = read("b\nAP8=\n%\n", mapping)
    assert isinstance(good, Sample)
    assert good.request.body == b"\x00\xff"
    assert bad == Skipped("traffic.csv#3", "malformed", "column 'b': not base64")


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (b"1,/a", "malformed", "2 values, 3 columns"),
        (b"maybe,/a,b", "unknown label", "column 'class'"),
        (b",/a,b", "unknown label", "column 'class'"),
        (b'1,"/a"b,c', "unreadable", "',' expected after '\"'"),
        (b"1,/\xff,b", "not UTF-8", "a text of the request is not UTF-8"),
        (b"1,/a,\xff", "not UTF-8", "a text of the request is not UTF-8"),
        (b"1,/a," + b"b" * (MAX_BODY_BYTES + 1), "too large", "a body of 700,001 bytes"),
        (b"1,/" + b"a" * 65_536 + b",", "too large", "$.request.uri"),
    ],
)
def test_a_bad_row_is_skipped_with_its_line(row: bytes, reason: str, detail: str) -> None:
    before, result, after = read(b'class,url,content\n1,/,"a\nb"\n' + row + b"\n0,/,c\n")
    assert isinstance(before, Sample)
    assert isinstance(after, Sample)
    assert isinstance(result, Skipped)
    assert (before.source, result.source, after.source) == ("traffic.csv#2", "traffic.csv#4", "traffic.csv#5")
    assert result.reason == reason
    assert detail in result.detail


def test_invalid_header_lines_are_malformed() -> None:
    mapping = Mapping(columns={"headers": "h"}, constants={"label": "attack", "category": "c"})
    (result,) = read("h\nno colon\n", mapping)
    assert result == Skipped("traffic.csv#2", "malformed", "column 'h': a line is not `Name: value`")


def test_nothing_after_an_unclosed_quote_becomes_a_sample() -> None:
    endless = b'1,/,"' + b"a,b,c\n" * (MAX_LINE_BYTES // 6 + 1)
    first, rest = read(b"class,url,content\n0,/,c\n" + endless + b"0,/,c\n")
    assert isinstance(first, Sample)
    assert isinstance(rest, Skipped)
    assert (rest.source, rest.reason) == ("traffic.csv#3", "too large")
    assert rest.detail.endswith("is a quote unclosed? Nothing after it was read.")
    _, cut = read('class,url,content\n0,/,c\n1,/,"a\n')
    assert cut == Skipped("traffic.csv#3", "unreadable", "unexpected end of data")


def test_a_line_that_is_too_long_ends_the_reading() -> None:
    (rest,) = samples_of_csv([b"class,url,content\n", None, b"0,/,c\n"], "traffic.csv", PLAIN)
    assert isinstance(rest, Skipped)
    assert (rest.source, rest.reason) == ("traffic.csv#2", "too large")


@pytest.mark.parametrize(
    ("text", "mapping", "message"),
    [
        ("", PLAIN, "traffic.csv, line 1: the file is empty; the first row must name the columns"),
        ('"class', PLAIN, "traffic.csv, line 1: unexpected end of data; the first row must name the columns"),
        ("class,url,x\n", PLAIN, "traffic.csv, line 1: no column 'content'; map one of: class, url, x"),
        ("class,url,url,content\n", PLAIN, "line 1: more than one column 'url'; map one of: class, content, url"),
        ("class\n", Mapping(columns={"label": "class"}), "no category; map a column to it, or set a constant"),
        ("a\n", Mapping(columns={"category": "a"}), "no label; map a column to it, or set a constant"),
        (
            "a\n",
            Mapping(columns={"label": "a"}, constants={"label": "1", "category": "c"}),
            "label: set by both a column and",
        ),
        ("a\n", Mapping(columns={"label": "a"}, constants={"category": "c"}, attack=("NO",)), "label no: means both"),
    ],
)
def test_a_mapping_that_does_not_fit_is_named_by_file_line_and_column(
    text: str, mapping: Mapping, message: str
) -> None:
    with pytest.raises(FixInput) as caught:
        list(read(text, mapping))
    assert message in str(caught.value)
