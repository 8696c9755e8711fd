"""Stages of go-ftw tests become samples, with the requests that go-ftw sends."""

from __future__ import annotations

import base64
from collections import Counter
from pathlib import Path

import pytest

from shieldx.domains.shadow.sample import MAX_BODY_BYTES, Request, Sample
from shieldx.importers.go_ftw import category_of, import_go_ftw, samples_of_go_ftw
from shieldx.importers.imported import FixInput, Skipped

CORE_RULE_SET = Path(__file__).parents[2] / "../shared/data/crs/tests"


def stage(stage_input: str, output: str = "{log: {expect_ids: [942100]}}") -> Sample | Skipped:
    """The only stage of a file, with its input and output in YAML's flow style."""
    content = f"tests: [{{test_id: 7, stages: [{{input: {stage_input}, output: {output}}}]}}]"
    (result,) = samples_of_go_ftw(content.encode(), "942100.yaml", "sqli")
    return result


def sent(stage_input: str) -> Request:
    result = stage(stage_input)
    assert isinstance(result, Sample), result
    return result.request


def skipped(stage_input: str, output: str = "{log: {expect_ids: [942100]}}") -> tuple[str, str]:
    result = stage(stage_input, output)
    assert isinstance(result, Skipped), result
    assert result.source == "942100.yaml#7"
    return result.reason, result.detail


def test_a_stage_is_a_sample_with_the_rules_it_expects() -> None:
    content = b"""
rule_id: 942100
tests:
  - test_id: 3
    stages:
      - input: {method: GET, uri: "/?a=1' or '1'='1", headers: {User-Agent: x, Host: localhost}}
        output: {log: {expect_ids: [942100, 942101, 942100], no_expect_ids: [942200]}}
      - input: {}
        output: {log: {no_expect_ids: [942100]}}
  - stages:
      - input: {}
        output: {status: 200, log: {no_expect_ids: [942100]}}
"""
    first, second, third = samples_of_go_ftw(content, "942100.yaml", "sqli")
    assert first == Sample(
        label="attack",
        category="sqli",
        source="942100.yaml#3",
        request=Request(
            method="GET",
            uri="/?a=1' or '1'='1",
            headers=(("Host", "localhost"), ("User-Agent", "x"), ("Connection", "close")),
        ),
        expected_rules=("942100", "942101"),
        unexpected_rules=("942200",),
    )
    assert isinstance(second, Sample)
    assert (second.source, second.label, second.unexpected_rules) == ("942100.yaml#3/2", "benign", ("942100",))
    assert third.source == "942100.yaml#2", "without an id, its position"


@pytest.mark.parametrize(
    ("output", "expected", "unexpected"),
    [
        ("{log_contains: 'id \"942100\"'}", ("942100",), ()),
        ("{no_log_contains: 'id \"942100\"'}", (), ("942100",)),
        ("{log: {match_regex: '\\[id \"942100\"\\]'}}", ("942100",), ()),
        ("{log: {expect_ids: [1], match_regex: 'id \"942100\"'}}", ("1",), ()),
        ("{log: {no_match_regex: '\\[id \"\\d+\"\\]'}}", (), ()),
    ],
)
def test_what_older_tests_look_for_in_the_log_names_rules(
    output: str, expected: tuple[str, ...], unexpected: tuple[str, ...]
) -> None:
    result = stage("{}", output)
    assert isinstance(result, Sample), result
    assert (result.expected_rules, result.unexpected_rules) == (expected, unexpected)
    assert result.label == ("attack" if expected else "benign")


@pytest.mark.parametrize(
    "output",
    [
        "{status: 400}",
        "{log: {match_regex: 'ARGS:x'}}",
        "{log: {match_regex: 'oops|id \"1\"'}}",
        "{log: {expect_ids: []}}",
    ],
)
def test_a_stage_that_says_nothing_about_rules_is_skipped(output: str) -> None:
    assert skipped("{}", output)[0] == "no expectation"


def test_older_stages_have_one_more_level() -> None:
    content = b"tests: [{stages: [{stage: {input: {uri: /a}, output: {log_contains: 'id \"1\"'}}}]}]"
    (sample,) = samples_of_go_ftw(content, "1.yaml", "c")
    assert isinstance(sample, Sample)
    assert (sample.request.uri, sample.expected_rules) == ("/a", ("1",))


def test_defaults_are_go_ftws() -> None:
    assert sent("{}") == Request(method="GET", uri="/", protocol="HTTP/1.1", headers=(("Connection", "close"),))
    assert sent('{version: ""}').protocol == "", "HTTP/0.9 has none"


@pytest.mark.parametrize("switch", ["autocomplete_headers: false", "stop_magic: true"])
def test_headers_are_completed_unless_this_is_turned_off(switch: str) -> None:
    assert sent("{method: POST, data: a=b}").headers == (
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Connection", "close"),
        ("Content-Length", "3"),
    )
    assert sent("{method: POST}").headers == (("Connection", "close"), ("Content-Length", "0"))
    assert sent("{method: GET}").headers == (("Connection", "close"),)
    assert sent("{headers: {connection: keep-alive, content-length: 7}, data: a=b}").headers[:2] == (
        ("connection", "keep-alive"),
        ("content-length", "7"),
    )
    assert sent(f"{{method: POST, data: 'a=<', {switch}}}") == Request(method="POST", body=b"a=<")


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ("a=<b> c&d=1/2", b"a=%3Cb%3E+c&d=1%2F2"),
        ("a=b=c&&d&", b"a=b%3Dc&&d"),
        ("a=%3C&b=<", b"a=%3C&b=<"),
        ("a=1+1&b=<", b"a=1+1&b=<"),
        ("a=100%&b=<", b"a=100%&b=<"),
        ("\u00fc=~", b"%C3%BC=~"),
    ],
)
def test_a_form_is_encoded_unless_it_looks_encoded(data: str, body: bytes) -> None:
    assert sent(f"{{data: '{data}'}}").body == body
    assert sent(f"{{data: '{data}', headers: {{Content-Type: text/plain}}}}").body == data.encode()


def test_lines_of_a_multipart_form_end_in_crlf() -> None:
    request = sent('{data: "--a\\n\\n1\\n--a--\\n", headers: {Content-Type: "multipart/form-data; boundary=a"}}')
    assert request.body == b"--a\r\n\r\n1\r\n--a--\r\n"
    assert ("Content-Length", "17") in request.headers


def test_a_template_is_expanded() -> None:
    assert sent("""{data: 'a={{ "xy" | repeat 3 }}!', autocomplete_headers: no}""").body == b"a=xyxyxy!"
    assert skipped("{data: '{{ now }}'}")[0] == "unsupported"
    assert skipped("{data: 'a {{ b'}")[0] == "unsupported"
    assert skipped("""{data: '{{ "x" | repeat 999999999 }}'}""")[0] == "too large"


def test_scalars_keep_their_text() -> None:
    request = sent("{version: 1.0, method: NO, uri: 0x1F, headers: {A: 07, B: 1e3, C: ~, D: !!binary w7w=}}")
    assert (request.protocol, request.method, request.uri) == ("1.0", "NO", "0x1F")
    assert request.headers[:-1] == (("A", "07"), ("B", "1e3"), ("C", ""), ("D", "\u00fc"))


def test_ordered_headers_keep_their_order_and_repetitions() -> None:
    ordered = "[{name: B, value: 1}, {name: A, value: ' 2 '}, {name: B, value: 3}]"
    assert sent(f"{{ordered_headers: {ordered}}}").headers == (
        ("B", "1"),
        ("A", "2"),
        ("B", "3"),
        ("Connection", "close"),
    )


def test_data_may_be_any_bytes() -> None:
    encoded = base64.b64encode(b"\x00\xff").decode()
    assert sent(f"{{encoded_data: {encoded}, autocomplete_headers: false}}").body == b"\x00\xff"
    assert sent(f"{{data: !!binary {encoded}, autocomplete_headers: false}}").body == b"\x00\xff"
    assert sent(f"{{encoded_data: {encoded}}}").body == b"%00%FF", "a form, as in go-ftw"


def encoded_request(raw: bytes) -> str:
    return f"{{encoded_request: {base64.b64encode(raw).decode()}}}"


def test_an_encoded_request_is_parsed_unchanged() -> None:
    raw = b"POST /a b HTTP/1.0\r\nHost:\r\nX-A:  \xc3\xbc \r\nX-A: 2\r\n\r\n3\r\n\x00\xff\r\n\r\n"
    assert sent(encoded_request(raw)) == Request(
        method="POST",
        uri="/a b",
        protocol="HTTP/1.0",
        headers=(("Host", ""), ("X-A", "\u00fc"), ("X-A", "2")),
        body=b"3\r\n\x00\xff\r\n\r\n",
    )


@pytest.mark.parametrize(
    ("stage_input", "reason", "detail"),
    [
        (encoded_request(b"GET / HTTP/1.1\r\nHost: a\r\n"), "malformed", "no blank line"),
        (encoded_request(b"GET /\r\n\r\n"), "malformed", "first line"),
        (encoded_request(b"GET / HTTP/1.1\r\nA: 1\r\nno colon\r\n\r\n"), "malformed", "line 3"),
        (encoded_request(b"GET / HTTP/1.1\r\n: 1\r\n\r\n"), "malformed", "line 2"),
        (encoded_request(b"GET / HTTP/1.1\r\nA: \xff\r\n\r\n"), "not UTF-8", "a header"),
        ("{encoded_request: '%'}", "malformed", "encoded_request: not base64"),
        ("{encoded_data: '%'}", "malformed", "encoded_data: not base64"),
        ("{headers: {A: !!binary /w==}}", "not UTF-8", "A: bytes"),
        ("{headers: [A]}", "malformed", "headers: not a mapping"),
        ("{headers: {A: [b]}}", "malformed", "A: not text"),
        ("{method: [GET]}", "malformed", "method: not text"),
        ("[]", "malformed", "input: not a mapping"),
        ("{follow_redirect: true}", "unsupported", "follow_redirect"),
        (f"{{uri: {'a' * 65_537}}}", "too large", "$.request.uri"),
        (f"{{data: {'a' * (MAX_BODY_BYTES + 1)}}}", "too large", "a body of 700,001 bytes"),
        (f"{{data: {'a' * MAX_BODY_BYTES}, headers: {{A: {'b' * 40_000}}}}}", "too large", "bytes in JSON"),
    ],
)
def test_an_invalid_request_is_skipped_with_a_reason(stage_input: str, reason: str, detail: str) -> None:
    assert skipped(stage_input)[0] == reason
    assert detail in skipped(stage_input)[1]


def test_ids_that_are_not_numbers_are_malformed() -> None:
    assert skipped("{}", "{log: {expect_ids: [a]}}") == (
        "malformed",
        "output.log.expect_ids: not a list of integers",
    )
    assert skipped("{}", "{log: {expect_ids: ['\u0663']}}")[0] == "malformed", "an Arabic digit"


@pytest.mark.parametrize(
    ("content", "reason", "detail"),
    [
        (b"# nothing but a comment\n", "no tests", "tests: absent or empty"),
        (b"tests: []", "no tests", "tests: absent or empty"),
        (b'a: "\\q"', "unreadable", "line 1, column 5: found unknown escape character"),
        (b"a: \xff", "unreadable", "UTF-8"),
        (b'a: "\\ud800"', "unreadable", "line 1, column 7"),
        (b"a: !!python/name:os.system", "unreadable", "line 1, column 4"),
        (b"a: {<<: {b: c}}", "unreadable", "merge keys"),
        (b"[" * 100_000, "unreadable", "nested deeper than 50"),
        (b"- " * 100_000, "unreadable", "nested deeper than 50"),
    ],
)
def test_a_file_that_holds_no_tests_is_skipped_and_says_why(content: bytes, reason: str, detail: str) -> None:
    (result,) = samples_of_go_ftw(content, "1.yaml", "c")
    assert isinstance(result, Skipped)
    assert (result.source, result.reason) == ("1.yaml", reason)
    assert detail in result.detail


def test_aliases_of_aliases_stay_references() -> None:
    bomb = "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    content = f"a0: &a0 [x]\n{bomb}tests: [{{stages: [{{input: *a29}}]}}]"
    (result,) = samples_of_go_ftw(content.encode(), "1.yaml", "c")
    assert isinstance(result, Skipped)
    assert result.reason == "no expectation"


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    content = "tests: [{stages: [{output: {log: {expect_ids: [1]}}}]}]"
    for name in ("REQUEST-942-B-SQLI/2.yaml", "REQUEST-942-B-SQLI/1.yml", "a/3.yaml", "REQUEST-1-A/9.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "a/4.yaml").symlink_to(tmp_path / "nowhere")
    *samples, broken = import_go_ftw(tmp_path)
    assert [(sample.source, sample.category) for sample in samples if isinstance(sample, Sample)] == [
        ("1.yml#1", "b-sqli"),
        ("2.yaml#1", "b-sqli"),
        ("3.yaml#1", "a"),
    ]
    assert broken == Skipped("4.yaml", "unreadable", "No such file or directory")
    assert list(import_go_ftw(tmp_path / "a/3.yaml")) == samples[2:]
    with pytest.raises(FixInput, match=r"nowhere is neither a file nor a folder that contains .yaml or .yml files"):
        list(import_go_ftw(tmp_path / "nowhere"))


def test_a_category_is_the_folder_without_phase_and_number() -> None:
    assert category_of("REQUEST-942-APPLICATION-ATTACK-SQLI") == "application-attack-sqli"
    assert category_of("RESPONSE-951-DATA-LEAKAGES-SQL") == "data-leakages-sql"


def test_the_core_rule_set_is_imported() -> None:
    if not CORE_RULE_SET.exists():
        pytest.skip("needs the Core Rule Set's tests in ../shared/data/crs/tests next to the checkout")
    results = list(import_go_ftw(CORE_RULE_SET))
    samples = [result for result in results if isinstance(result, Sample)]
    skips = [result for result in results if isinstance(result, Skipped)]
    assert len({result.source.partition("#")[0] for result in results}) == 323, "files"
    assert Counter(skip.reason for skip in skips) == {"no expectation": 35, "no tests": 1}
    assert {skip.source for skip in skips if skip.reason == "no tests"} == {"920539.yaml"}
    assert Counter(sample.label for sample in samples) == {"attack": 4023, "benign": 1030}
    assert len({sample.source for sample in samples}) == len(samples) == 5053
    assert sum(not sample.expected_rules and not sample.unexpected_rules for sample in samples) == 35
    assert len({rule for sample in samples for rule in sample.expected_rules}) == 314
    file = next(CORE_RULE_SET.rglob("942100.yaml"))
    assert list(import_go_ftw(file)) == [result for result in results if result.source.startswith("942100.yaml#")]
