"""`shieldx samples` on a stack with the agent `shadow`."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shieldx.bootstrap.platform import Platform
from shieldx.cli.samples.writing import SetContent, write_samples
from shieldx.domains.shadow.messages import StoredSample
from shieldx.domains.shadow.sample import Request, Sample
from shieldx.domains.shadow.sample_set import arranged, version_of
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.cli_stack import CliStack


pytestmark = pytest.mark.integration

ATTACKS, BENIGN = 30, 12


def samples(begin: int = 0) -> list[Sample]:
    """Samples of two categories, with expectations and a binary body."""
    attacks = [
        Sample(
            label="attack",
            category="sqli",
            source=f"942100.yaml#{number}",
            request=Request(method="POST", uri=f"/?id={number}", headers=(("Host", "a"),), body=b"\xff\x00'--"),
            expected_rules=("942100",),
        )
        for number in range(begin, begin + ATTACKS)
    ]
    benign = [
        Sample(label="benign", category="texts", source=f"texts#{number}", request=Request(uri=f"/{number}"))
        for number in range(BENIGN)
    ]
    return [*attacks, *benign]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[list[Sample]], str]:
    """Writes samples as lines of JSON, and returns the path."""

    def write(content: list[Sample]) -> str:
        path = tmp_path / "samples.ndjson"
        path.write_bytes(msgspec.json.Encoder().encode_lines(content))
        return str(path)

    return write


def import_(place: CliStack, path: str, tenant: str, *options: str) -> dict[str, Any]:
    (answer,) = place.read("samples", "import", "--tenant", tenant, "--ndjson", path, *options)
    return answer


def test_a_set_is_imported_listed_and_shown(place: CliStack, file: Callable[[list[Sample]], str]) -> None:
    content = samples()
    made = import_(place, file(content), "acme", "--set", "tests")
    assert made == {
        "sample_set": "tests",
        "version": version_of(arranged(content)),
        "code": "ok",
        "samples": ATTACKS + BENIGN,
        "attack": ATTACKS,
        "benign": BENIGN,
    }
    (listed,) = place.read("samples", "list", "--tenant", "acme")
    assert listed["categories"] == {"sqli": ATTACKS, "texts": BENIGN}
    assert listed["last_offset"] - listed["first_offset"] == ATTACKS + BENIGN - 1
    assert (listed["version"], listed["samples"]) == (made["version"], ATTACKS + BENIGN)
    shown = place.read("samples", "show", "tests", "--tenant", "acme")
    in_order = arranged(content)
    assert [(each["index"], each["source"]) for each in shown] == [
        (index, sample.source) for index, sample in enumerate(in_order)
    ]
    some = place.call("samples", "show", "tests", "--tenant", "acme", "--category", "texts", "--limit", "5")
    assert [json.loads(line)["index"] for line in some.stdout.splitlines()] == [*range(ATTACKS, ATTACKS + 5)]
    assert some.stderr == f"tests@{made['version']} has 42 samples; --limit shows more\n"
    (whole,) = place.read("samples", "show", f"tests@{made['version']}", "--tenant", "acme", "--index", "7")
    assert msgspec.convert(whole, StoredSample).sample == in_order[7]


def test_an_import_again_changes_nothing_and_an_earlier_version_becomes_the_last(
    place: CliStack, file: Callable[[list[Sample]], str]
) -> None:
    first = import_(place, file(samples()), "again")
    listed = place.read("samples", "list", "--tenant", "again")
    assert import_(place, file(samples()[::-1]), "again")["code"] == "unchanged"
    assert place.read("samples", "list", "--tenant", "again") == listed
    second = import_(place, file(samples(begin=100)), "again")
    assert import_(place, file(samples()), "again")["code"] == "ok"  # not written: its samples are there
    versions = place.read("samples", "list", "--tenant", "again")
    assert [each["version"] for each in versions] == [second["version"], first["version"]]
    assert [each["first_offset"] for each in versions[1:]] == [each["first_offset"] for each in listed]
    assert import_(place, file(samples()), "again", "--again")["code"] == "ok"
    (_, written) = place.read("samples", "list", "--tenant", "again")
    assert written["first_offset"] > versions[0]["last_offset"]
    assert len(place.read("samples", "show", "default", "--tenant", "again")) == ATTACKS + BENIGN


def test_unsealed_samples_are_not_a_set_until_they_are_imported_again(
    place: CliStack, file: Callable[[list[Sample]], str]
) -> None:
    content = arranged(samples())
    platform = Platform(load_settings({"SHIELDX_KAFKA_BOOTSTRAP": place.stack["bootstrap"]}))
    version = SetContent("half", "default", version_of(content), content)
    first, last = asyncio.run(write_samples(platform, version, lambda _done, _total: None))
    assert last - first == len(content) - 1
    assert place.read("samples", "list", "--tenant", "half") == []
    none = place.call("samples", "show", "default", "--tenant", "half")
    assert (none.returncode, none.stdout) == (1, "")
    assert "half has no set 'default'; `shieldx samples import` creates one" in none.stderr
    assert import_(place, file(content), "half")["code"] == "ok"
    shown = place.read("samples", "show", "default", "--tenant", "half")
    assert [each["index"] for each in shown] == [*range(len(content))]


def test_samples_of_many_batches_and_of_the_greatest_size_are_where_the_set_says(
    place: CliStack, file: Callable[[list[Sample]], str]
) -> None:
    bodies = [b"\xff" * 700_000, *(b"x" * 3000 for _ in range(500)), b"\x00" * 700_000]
    content = [
        Sample(label="attack", category="c", source=f"{number:03}", request=Request(method="POST", body=body))
        for number, body in enumerate(bodies)
    ]
    import_(place, file(content), "large")
    (listed,) = place.read("samples", "list", "--tenant", "large")
    assert listed["last_offset"] - listed["first_offset"] == len(content) - 1
    for index in (0, 250, len(content) - 1):
        (whole,) = place.read("samples", "show", "default", "--tenant", "large", "--index", str(index))
        assert msgspec.convert(whole, StoredSample).sample == arranged(content)[index]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nothing",), "named has no set 'nothing'; it has default"),
        (("default@0123456789abcdef",), "has no version 0123456789abcdef; it has "),
        (("default", "--category", "lfi"), "has no category 'lfi'; it has sqli, texts"),
        (("default", "--index", "42"), "sample 42 does not exist"),
    ],
)
def test_a_missing_set_or_sample_is_reported_with_the_existing_ones(
    place: CliStack, file: Callable[[list[Sample]], str], arguments: tuple[str, ...], says: str
) -> None:
    import_(place, file(samples()), "named")
    done = place.call("samples", "show", *arguments, "--tenant", "named")
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
