"""`shieldx rule` on a stack with the agent `shadow`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shieldx.bootstrap.platform import Platform
from shieldx.cli.asking import CorrectCommand
from shieldx.cli.shadow.commands import carry_out
from shieldx.domains.shadow.messages import PutRule
from shieldx.domains.shadow.rule import Keywords, Signature, rule_hash
from shieldx.settings import load_settings
from tests.cli.cli_stack import TIMEOUT_S, CliStack

pytestmark = pytest.mark.integration

CRS = Path(__file__).parents[3] / "../shared/data/crs/rules.json"
FIRST, SECOND = Signature(pattern="' or 1=1"), Keywords(keywords=("union", "select"))


def put(place: CliStack, tenant: str, config: Signature | Keywords, *options: str) -> dict[str, Any]:
    done = place.call(
        "rule", "put", "-", "--id", "r", "--tenant", tenant, *options, given=msgspec.json.encode(config).decode()
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def refused(place: CliStack, *arguments: str, given: str = "") -> str:
    done = place.call("rule", *arguments, given=given)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_a_rule_is_put_shown_compared_and_rolled_back(place: CliStack) -> None:
    assert put(place, "acme", FIRST, "--name", "tautology") == {
        "rule_id": "r",
        "version": 1,
        "hash": rule_hash(FIRST),
        "code": "ok",
    }
    options = ("--parent", "1", "--author", "ann", "--note", "words instead")
    assert put(place, "acme", SECOND, *options)["version"] == 2
    assert put(place, "acme", SECOND)["code"] == "unchanged"
    versions = place.read("rule", "list", "r", "--tenant", "acme")
    assert [(each["version"], each["type"], each["author"]) for each in versions] == [
        (1, "signature", None),
        (2, "keywords", "ann"),
    ]
    assert place.read("rule", "list", "--tenant", "acme") == versions[1:]
    (shown,) = place.read("rule", "show", "r@1", "--tenant", "acme")
    assert msgspec.convert(shown["config"], Signature) == FIRST
    diff = place.call("rule", "diff", "r@1", "r", "--tenant", "acme")
    assert diff.stdout.startswith("--- r@1\n+++ r@2\n")
    assert '-    "pattern": "\' or 1=1",\n' in diff.stdout
    (back,) = place.read("rule", "rollback", "r@1", "--tenant", "acme", "--author", "bob")
    assert (back["version"], back["hash"]) == (3, rule_hash(FIRST))
    (last,) = place.read("rule", "show", "r", "--tenant", "acme")
    assert (last["name"], last["note"], last["parent"]) == ("tautology", "rollback to version 1", 2)
    same = place.call("rule", "diff", "r@1", "r@3", "--tenant", "acme")
    assert (same.stdout, same.stderr) == ("", "no differences\n")


def test_the_output_of_show_can_be_put_for_another_tenant(place: CliStack) -> None:
    put(place, "from", FIRST, "--name", "tautology")
    shown = place.call("rule", "show", "r", "--tenant", "from").stdout
    done = place.call("rule", "put", "-", "--tenant", "to", given=shown)
    assert json.loads(done.stdout)["version"] == 1
    assert place.read("rule", "list", "--tenant", "to")[0]["name"] == "tautology"


def test_an_unusable_rule_is_refused_with_the_place_of_its_fault(place: CliStack) -> None:
    pattern = json.dumps({"type": "signature", "pattern": "select (a|b)(?=x)"})
    lines = refused(place, "put", "-", "--id", "bad", "--tenant", "acme", given=pattern).splitlines()
    assert lines[0].startswith("Error: rule 'bad': pattern, character 12: lookahead is not supported")
    assert lines[1:] == ["  select (a|b)(?=x)", "              ^"]


def test_a_version_that_was_not_made_from_the_last_one_is_refused(place: CliStack) -> None:
    for config in (FIRST, SECOND):
        put(place, "race", config)
    third = msgspec.json.encode(Signature(pattern="c")).decode()
    options = ("--id", "r", "--tenant", "race", "--parent", "1")
    assert "the last version is 2, not 1" in refused(place, "put", "-", *options, given=third)
    assert len(place.read("rule", "list", "r", "--tenant", "race")) == 2


def test_a_missing_rule_or_version_is_reported_with_the_existing_ones(place: CliStack) -> None:
    put(place, "some", FIRST)
    assert "some has no rule 'other'" in refused(place, "show", "other", "--tenant", "some")
    assert "rule 'r' has no version 2; its last is 1" in refused(place, "rollback", "r@2", "--tenant", "some")


@pytest.mark.skipif(not CRS.is_file(), reason=f"needs {CRS.name} in ../shared/data/crs next to the checkout")
def test_the_rules_of_the_core_rule_set_are_put_once(place: CliStack) -> None:
    everything = len(json.loads(CRS.read_text()))
    first = place.read("rule", "import", str(CRS), "--tenant", "crs", "--author", "crs")
    with_version = [each for each in first if each["version"] is not None]
    assert len(first) == everything
    assert {(each["version"], each["code"], each["reason"]) for each in with_version} == {(1, "ok", None)}
    assert all(each["reason"] for each in first if each["version"] is None)
    again = place.call("rule", "import", str(CRS), "--tenant", "crs")
    count = len(with_version)
    assert again.stderr == (f"put {count} rules: {count} unchanged; {everything - count} cannot be evaluated\n")
    listed = place.read("rule", "list", "--tenant", "crs")
    assert sorted(each["rule_id"] for each in listed) == sorted(each["rule_id"] for each in with_version)
    (shown,) = place.read("rule", "show", f"{with_version[0]['rule_id']}@1", "--tenant", "crs")
    assert shown["author"] == "crs"


def test_a_command_that_the_agent_cannot_read_is_reported(place: CliStack) -> None:
    platform = Platform(load_settings({"SHIELDX_KAFKA_BOOTSTRAP": place.stack["bootstrap"]}))
    unreadable = PutRule(tenant_id="acme", rule_id="", config=FIRST)
    with pytest.raises(CorrectCommand, match=r"dead-lettered: .*rule_id"):
        asyncio.run(carry_out(platform, unreadable, timeout_s=TIMEOUT_S))
    done = place.call(
        "rule", "put", "-", "--id", "x" * 257, "--tenant", "acme", given='{"type":"signature","pattern":"a"}'
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "invalid command: Expected `str` of length <= 256 - at `$.rule_id`" in done.stderr
