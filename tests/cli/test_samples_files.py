"""What `shieldx samples import` finds in files, without Kafka."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from shieldx.cli.samples.bounds import ImportOtherSamples, check_samples
from shieldx.cli.samples.files import Files, mapping_of
from shieldx.cli.samples.request_text import request_lines
from shieldx.domains.shadow.messages import MAX_SAMPLES
from shieldx.domains.shadow.sample import MAX_BODY_BYTES, Request, Sample
from shieldx.evaluators.sample_reader import MAX_SET_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    Shieldx = Callable[..., Result]

DATA = Path(__file__).parents[2] / "../shared/data"
GO_FTW = """
tests:
  - test_id: 1
    stages:
      - input: {uri: "/?id=1%27%20or%201", headers: {Host: localhost}}
        output: {log: {expect_ids: [942100]}}
  - test_id: 2
    stages:
      - input: {uri: "/", headers: {Host: localhost}}
        output: {status: 200}
"""
GOTESTWAF = """
payload: ["../../etc/passwd"]
encoder: [URL, Plain]
placeholder: [URLParam]
"""
CSV = "class;url;agent\nanomalous;/?q=<script>;curl\nnormal;/shop;\nwho knows;/;\n"
MAPPING = (
    *("--csv-column", "label=class", "--csv-column", "uri=url", "--csv-header", "User-Agent=agent"),
    *("--csv-constant", "category=shop", "--csv-delimiter", ";"),
)


def line(number: int, label: str = "attack") -> str:
    request = {"uri": f"/?{number}"}
    return json.dumps({"label": label, "category": "c", "source": f"s#{number}", "request": request}) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files of every format."""
    for name, text in [("942100.yaml", GO_FTW), ("lfi.yml", GOTESTWAF), ("traffic.csv", CSV)]:
        (tmp_path / name).write_text(text)
    (tmp_path / "own.ndjson").write_text(line(1) + "{\n" + line(2, "benign"))
    return tmp_path


def everything(folder: Path) -> tuple[str, ...]:
    formats = {"go-ftw": "942100.yaml", "gotestwaf": "lfi.yml", "csv": "traffic.csv", "ndjson": "own.ndjson"}
    return tuple(text for name, file in formats.items() for text in (f"--{name}", str(folder / file)))


def imported(shieldx: Shieldx, *options: str) -> dict[str, Any]:
    result = shieldx("samples", "import", "--tenant", "acme", "--dry-run", *options)
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_files_of_all_formats_make_one_set_and_what_is_skipped_is_counted(shieldx: Shieldx, folder: Path) -> None:
    skipped = folder / "skipped.ndjson"
    options = (*everything(folder), *MAPPING, "--skipped", str(skipped))
    result = shieldx("samples", "import", "--tenant", "acme", "--set", "all", "--dry-run", *options)
    answer = json.loads(result.stdout)
    assert (answer["sample_set"], answer["code"]) == ("all", None)
    assert (answer["samples"], answer["attack"], answer["benign"]) == (7, 5, 2)
    assert result.stderr.splitlines() == [
        "imported 7: 5 attack, 2 benign",
        "skipped 3: 1 no expectation, 1 unreadable, 1 unknown label",
        "nothing was written",
    ]
    assert [json.loads(text)["source"] for text in skipped.read_text().splitlines()] == [
        "942100.yaml#2",
        "own.ndjson#2",
        "traffic.csv#4",
    ]


def test_the_version_is_that_of_the_content_in_whatever_order_it_comes(shieldx: Shieldx, tmp_path: Path) -> None:
    for name, numbers in [("a", range(4)), ("b", range(4, 8)), ("both", (7, 3, 5, 1, 6, 2, 4, 0)), ("less", range(7))]:
        (tmp_path / name).write_text("".join(map(line, numbers)))
    given = {
        names: [text for name in names.split() for text in ("--ndjson", str(tmp_path / name))]
        for names in ("a b", "b a", "both", "less")
    }
    versions = {names: imported(shieldx, *options)["version"] for names, options in given.items()}
    assert versions["a b"] == versions["b a"] == versions["both"] != versions["less"]


@pytest.mark.skipif(
    not (DATA / "crs").is_dir(), reason="needs crs/ and gotestwaf/ in ../shared/data next to the checkout"
)
def test_the_tests_of_crs_and_gotestwaf_are_a_set(shieldx: Shieldx) -> None:
    options = ("--go-ftw", str(DATA / "crs/tests"), "--gotestwaf", str(DATA / "gotestwaf/testcases"))
    answer = imported(shieldx, *options)
    assert answer["samples"] == answer["attack"] + answer["benign"]
    assert answer["attack"] > 4000
    assert answer["benign"] > 1000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "no files: use --go-ftw"),
        (("--ndjson", "missing.ndjson"), "does not exist"),
        (("--csv", "traffic.csv", "--csv-column", "labl=class"), "labl"),
        (("--csv", "traffic.csv", "--csv-column", "uri=a", "--csv-column", "uri=b"), "--csv-column sets uri twice"),
        (("--csv", "traffic.csv", "--csv-delimiter", "::"), "delimiter"),
    ],
)
def test_contradictory_options_are_a_usage_error(
    shieldx: Shieldx, folder: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(folder)
    result = shieldx("samples", "import", "--tenant", "acme", "--dry-run", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_a_missing_column_is_reported(shieldx: Shieldx, folder: Path) -> None:
    columns = ("--csv-column", "label=class", "--csv-constant", "category=shop")
    result = shieldx(
        "samples", "import", "--tenant", "acme", "--dry-run", "--csv", str(folder / "traffic.csv"), *columns
    )
    assert result.exit_code == 1
    assert "no column 'class'; map one of: class;url;agent" in result.stderr


def test_a_set_is_neither_empty_nor_larger_than_can_be_judged(shieldx: Shieldx, tmp_path: Path) -> None:
    file = tmp_path / "samples.ndjson"
    file.write_text("{\n")
    empty = shieldx("samples", "import", "--tenant", "acme", "--dry-run", "--ndjson", str(file))
    assert (empty.exit_code, empty.stdout) == (1, "")
    assert "these files contain no samples" in empty.stderr
    file.write_text("".join(map(line, range(MAX_SAMPLES + 1))))
    large = shieldx("samples", "import", "--tenant", "acme", "--dry-run", "--ndjson", str(file))
    assert (large.exit_code, large.stdout) == (1, "")
    assert "100,001 samples exceed the maximum of 100,000 per set" in large.stderr


def test_a_set_of_too_many_kinds_of_samples_is_refused_before_any_is_written(
    shieldx: Shieldx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "127.0.0.1:1")  # nothing listens there
    file = tmp_path / "samples.ndjson"
    many = (line(number).replace('"c"', f'"{number:05}{"c" * 200}"') for number in range(4000))
    file.write_text("".join(many))
    result = shieldx("samples", "import", "--tenant", "acme", "--ndjson", str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the samples have 4,000 distinct combinations" in result.stderr


def test_samples_that_take_more_memory_than_an_evaluator_has_are_refused() -> None:
    sample = Sample(label="attack", category="c", source="s", request=Request(body=b"x" * MAX_BODY_BYTES))
    check_samples([sample] * (MAX_SET_BYTES // MAX_BODY_BYTES - 1))
    with pytest.raises(ImportOtherSamples, match="create several sets"):
        check_samples([sample] * (MAX_SET_BYTES // MAX_BODY_BYTES + 1))


def test_a_column_with_the_name_of_its_field_needs_one_name() -> None:
    mapping = mapping_of(Files(csv_column=("label", "uri=url"), csv_attack=("bad",), csv_header=("Host=host",)))
    assert (mapping.columns, mapping.attack) == ({"label": "label", "uri": "url"}, ("bad",))
    assert mapping.headers == {"host": "Host"}
    assert "normal" in mapping.benign
    with pytest.raises(click.UsageError, match="Fields are label, category"):
        mapping_of(Files(csv_constant=("nothing=1",)))


def test_a_request_is_shown_without_terminal_control_characters() -> None:
    request = Request(method="POST", uri="/\x1b[2J", headers=(("Host", "a\x07"),), body=b"a=1\r\nb=\xff\x00\n")
    assert list(request_lines(request)) == [
        r"POST /\x1b[2J HTTP/1.1",
        r"Host: a\x07",
        "",
        r"a=1\r",
        r"b=\xff\x00",
        "",
    ]
