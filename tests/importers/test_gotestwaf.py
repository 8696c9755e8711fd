"""Payloads of gotestwaf become samples, for every encoder and placeholder in their file."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from shieldx.domains.shadow.sample import Sample
from shieldx.importers.gotestwaf import import_gotestwaf, samples_of_gotestwaf
from shieldx.importers.imported import FixInput, Skipped

CASES = Path(__file__).parents[2] / "../shared/data/gotestwaf/testcases"


def test_every_payload_goes_through_every_encoder_and_placeholder() -> None:
    content = b"{payload: ['<a>', b], encoder: [Plain, URL], placeholder: [URLParam, XMLBody], type: XSS}"
    results = list(samples_of_gotestwaf(content, "owasp", "xss.yml"))
    assert [result.source for result in results] == [
        "owasp/xss.yml#1/Plain/URLParam",
        "owasp/xss.yml#1/Plain/XMLBody",
        "owasp/xss.yml#1/URL/URLParam",
        "owasp/xss.yml#1/URL/XMLBody",
        "owasp/xss.yml#2/Plain/URLParam",
        "owasp/xss.yml#2/Plain/XMLBody",
        "owasp/xss.yml#2/URL/URLParam",
        "owasp/xss.yml#2/URL/XMLBody",
    ]
    third = results[2]
    assert isinstance(third, Sample)
    assert (third.label, third.category) == ("attack", "owasp/xss")
    assert third.request.uri == f"/?{sha256(b'<a>').hexdigest()[:10]}=%3Ca%3E"


def test_a_false_positive_set_is_benign() -> None:
    (sample,) = samples_of_gotestwaf(
        b"{payload: [a], encoder: [URL], placeholder: [URLPath]}", "false-pos", "texts.yml"
    )
    assert isinstance(sample, Sample)
    assert (sample.label, sample.expected_rules, sample.unexpected_rules) == ("benign", (), ())


def test_a_placeholder_has_options_and_may_come_again() -> None:
    content = b"""
payload: ["\\'x"]
encoder: [Plain, Plain]
placeholder:
  - RawRequest: {method: PUT, path: "/a/{{payload}}", headers: {x-a: "<{{payload}}>"}, body: "{{payload}}{{payload}}"}
  - RawRequest: {method: GET}
"""
    first, second = samples_of_gotestwaf(content, "s", "c.yml")
    assert isinstance(first, Sample)
    assert (first.source, second.source) == ("s/c.yml#1/Plain/RawRequest", "s/c.yml#1/Plain/RawRequest:2")
    assert (first.request.method, first.request.uri, first.request.body) == ("PUT", "/a/%27x", b"'x'x")
    assert ("X-A", "<'x>") in first.request.headers


@pytest.mark.parametrize(
    ("content", "source", "reason", "detail"),
    [
        (b"payload: [a, &", "s/c.yml", "unreadable", "line 1, column 15"),
        (b"[" * 100_000, "s/c.yml", "unreadable", "nested deeper than 50"),
        (b"", "s/c.yml", "malformed", "payload: absent or not a list"),
        (b"{payload: [a], encoder: [[b]], placeholder: []}", "s/c.yml", "malformed", "encoder: not a list of texts"),
        (b"{payload: [a], encoder: [b], placeholder: [{c: 1}]}", "s/c.yml", "malformed", "placeholder: neither"),
        (b"{payload: [], encoder: [b], placeholder: [c]}", "s/c.yml", "no tests", "is empty"),
        (b"{payload: [a], encoder: [b], placeholder: [URLPath]}", "s/c.yml#1/b/URLPath", "unsupported", "an encoder"),
        (b"{payload: [a], encoder: [URL], placeholder: [c]}", "s/c.yml#1/URL/c", "unsupported", "a placeholder"),
        (b"{payload: [a], encoder: [URL], placeholder: [gRPC]}", "s/c.yml#1/URL/gRPC", "not HTTP/1.1", "HTTP/2"),
        (b'{payload: ["\\ud800"], encoder: [URL], placeholder: [XMLBody]}', "s/c.yml#1/URL/XMLBody", "not UTF-8", ""),
    ],
)
def test_what_is_not_imported_says_why(content: bytes, source: str, reason: str, detail: str) -> None:
    (result,) = samples_of_gotestwaf(content, "s", "c.yml")
    assert isinstance(result, Skipped)
    assert (result.source, result.reason) == (source, reason)
    assert detail in result.detail


def test_a_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FixInput, match="neither a file nor a folder"):
        list(import_gotestwaf(tmp_path))


def test_gotestwafs_own_cases_are_imported() -> None:
    if not CASES.exists():
        pytest.skip("needs gotestwaf's test cases in ../shared/data/gotestwaf/testcases next to the checkout")
    results = list(import_gotestwaf(CASES))
    samples = [result for result in results if isinstance(result, Sample)]
    skips = [result for result in results if isinstance(result, Skipped)]
    assert len({result.source.partition("#")[0] for result in results}) == 38, "files"
    assert Counter(skip.reason for skip in skips) == {"not HTTP/1.1": 2}
    assert Counter(sample.label for sample in samples) == {"attack": 673, "benign": 141}
    assert len({sample.source for sample in samples}) == len(samples) == 814
    assert list(import_gotestwaf(CASES)) == results
