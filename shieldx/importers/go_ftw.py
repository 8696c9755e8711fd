"""Tests in go-ftw's YAML format, used by the OWASP Core Rule Set. Each stage of a test becomes a sample.

`942100.yaml#3` is the first stage of the test with id 3, and `942100.yaml#3/2` is its second.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from shieldx.domains.shadow.sample import Sample
from shieldx.importers.go_ftw_requests import request_of
from shieldx.importers.imported import FixInput, Imported, Skipped, SkipSample, imported
from shieldx.importers.yaml_files import TextLoader, load_yaml, read_yaml_files

if TYPE_CHECKING:
    from pathlib import Path

_NUMBER = re.compile(r"[0-9]+")
_NUMBERED = re.compile(r"(request|response)-[0-9]+-")
# Older tests match a pattern in the log. Supported: just a rule's id, as `id "942100"` or `\[id \"942100\"\]`.
_ID_IN_LOG = re.compile(r'(?:\\?\[)?id \\?"(?P<id>[0-9]+)\\?"(?:\\?\])?')
# The pattern for "no rule may fire" in the Core Rule Set's tests of its exclusions.
_ANY_ID_IN_LOG = re.compile(r'(?:\\\[)?id "(?:\\d|\[0-9\])\+"(?:\\\])?')


def import_go_ftw(path: Path) -> Imported:
    """Yield every stage in the file at `path`, or in all .yaml and .yml files below that folder, sorted by path.

    Raises:
        FixInput: The file does not exist.
    """
    for file, content in read_yaml_files(path):
        if isinstance(content, Skipped):
            yield content
        else:
            yield from samples_of_go_ftw(content, file.name, category_of(file.resolve().parent.name))


def category_of(folder: str) -> str:
    """`application-attack-sqli` for `REQUEST-942-APPLICATION-ATTACK-SQLI`."""
    return _NUMBERED.sub("", folder.lower(), count=1) or "tests"


def samples_of_go_ftw(content: bytes, file: str, category: str) -> Imported:
    """Yield the stages in a file's content; `file` is its name."""
    try:
        document = load_yaml(content, TextLoader)
    except FixInput as error:
        yield Skipped(file, "unreadable", str(error))
        return
    tests = document.get("tests") if isinstance(document, dict) else None
    if not isinstance(tests, list) or not tests:
        yield Skipped(file, "no tests", "tests: absent or empty")
        return
    for position, test in enumerate(tests, 1):
        yield from _samples_of_test(test, f"{file}#", position, category)


def _samples_of_test(test: object, prefix: str, position: int, category: str) -> Imported:
    if not isinstance(test, dict):
        yield Skipped(f"{prefix}{position}", "malformed", "a test is not a mapping")
        return
    test_id = test.get("test_id")
    source = f"{prefix}{test_id if isinstance(test_id, str) and test_id else position}"
    stages = test.get("stages")
    if not isinstance(stages, list) or not stages:
        yield Skipped(source, "unsupported", "a test without stages")
        return
    for number, stage in enumerate(stages, 1):
        stage_source = source if number == 1 else f"{source}/{number}"
        yield imported(stage_source, partial(_sample_of_stage, stage, stage_source, category))


def _sample_of_stage(stage: object, source: str, category: str) -> Sample:
    fields = _mapping(stage, "stage")
    fields = _mapping(fields.get("stage", fields), "stage")  # go-ftw before version 1 has one more nesting level
    expected, unexpected = _expectations(_mapping(fields.get("output"), "output"))
    return Sample(
        label="attack" if expected else "benign",
        category=category,
        source=source,
        request=request_of(_mapping(fields.get("input"), "input")),
        expected_rules=expected,
        unexpected_rules=unexpected,
    )


def _expectations(output: dict[str, object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The rules that must fire and those that must not, from lists of ids or from older tests' log patterns.

    Both are empty if no rule may fire: the request is benign for all rules.
    """
    log = _mapping(output.get("log"), "output.log")
    absent = log.get("no_match_regex") or output.get("no_log_contains")
    expected = _ids(log, "expect_ids") or _id_in_log(log.get("match_regex") or output.get("log_contains"))
    unexpected = _ids(log, "no_expect_ids") or _id_in_log(absent)
    benign_to_all = isinstance(absent, str) and _ANY_ID_IN_LOG.fullmatch(absent.strip()) is not None
    if not expected and not unexpected and not benign_to_all:
        raise SkipSample(
            "no expectation", f"no rule named; expects {', '.join(sorted({*output, *log} - {'log'})) or 'nothing'}"
        )
    return expected, unexpected


def _ids(log: dict[str, object], name: str) -> tuple[str, ...]:
    ids = log.get(name)
    if ids is None:
        return ()
    if not isinstance(ids, list) or not all(isinstance(rule, str) and _NUMBER.fullmatch(rule) for rule in ids):
        raise SkipSample("malformed", f"output.log.{name}: not a list of integers")
    return tuple(dict.fromkeys(ids))


def _id_in_log(pattern: object) -> tuple[str, ...]:
    match = _ID_IN_LOG.fullmatch(pattern.strip()) if isinstance(pattern, str) else None
    return (match["id"],) if match else ()


def _mapping(value: object, name: str) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise SkipSample("malformed", f"{name}: not a mapping")
    return value
