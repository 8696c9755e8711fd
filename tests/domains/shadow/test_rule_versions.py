"""Versions of rules: consecutive, immutable, and usable."""

from __future__ import annotations

from typing import Any

import pytest

from shieldx.domains.shadow.messages import CommandCode, CommandResult, PutRule
from shieldx.domains.shadow.rule import Signature, rule_hash
from shieldx.domains.shadow.rule_versions import RuleVersions
from shieldx.domains.shadow.state import RULES, STATE
from shieldx.domains.shadow.tables import RuleRow
from shieldx.messages import rfc3339
from shieldx.state.partition_state import PartitionState

AT_MS = 1_767_268_800_000
ONE, TWO = Signature(pattern="one"), Signature(pattern="two")


@pytest.fixture
def rules() -> RuleVersions:
    return RuleVersions(PartitionState(STATE).table(RULES))


def put(rules: RuleVersions, config: Signature, **fields: Any) -> tuple[CommandResult, RuleRow | None]:
    fields = {"tenant_id": "org-123", "rule_id": "r"} | fields
    result = rules.put(PutRule(config=config, **fields), AT_MS)
    made = rules.last(fields["tenant_id"], fields["rule_id"]) if result.code is CommandCode.OK else None
    return result, made


def outcome(rules: RuleVersions, config: Signature, **fields: Any) -> tuple[str, int | str | None]:
    result, row = put(rules, config, **fields)
    assert (row is not None) == (result.code is CommandCode.OK)
    return result.code.value, result.version


def test_the_first_version_is_1_and_has_no_parent(rules: RuleVersions) -> None:
    result, row = put(rules, ONE, name="One", author="alice", note="why")
    assert result == CommandResult(
        tenant_id="org-123", type="put_rule", subject="r", code=CommandCode.OK, version=1, at=rfc3339(AT_MS)
    )
    assert row == RuleRow(
        tenant_id="org-123",
        rule_id="r",
        version=1,
        name="One",
        config=ONE,
        hash=rule_hash(ONE),
        author="alice",
        parent=None,
        note="why",
        at=rfc3339(AT_MS),
    )
    assert rules.last("org-123", "r") == rules.find("org-123", "r", 1) == row


def test_the_next_one_is_made_from_the_last(rules: RuleVersions) -> None:
    put(rules, ONE)
    _, second = put(rules, TWO)
    assert second is not None
    assert (second.version, second.parent) == (2, 1)
    first = rules.find("org-123", "r", 1)
    assert first is not None
    assert (first.config, rules.find("org-123", "r", 3)) == (ONE, None)


def test_the_same_again_is_unchanged_whatever_its_parent_so_that_a_command_may_be_sent_twice(
    rules: RuleVersions,
) -> None:
    assert outcome(rules, ONE, parent=0) == ("ok", 1)
    assert outcome(rules, ONE, parent=0) == ("unchanged", 1)
    assert outcome(rules, ONE, author="another", note="another") == ("unchanged", 1)


def test_another_name_is_another_version(rules: RuleVersions) -> None:
    assert [outcome(rules, ONE, name=name) for name in ("a", "b", "b")] == [("ok", 1), ("ok", 2), ("unchanged", 2)]


def test_name_and_note_are_stored_masked_and_the_same_name_again_is_unchanged(rules: RuleVersions) -> None:
    text = "for user@email.com"
    _, row = put(rules, ONE, name=text, note=text)
    assert row is not None
    assert (row.name, row.note) == ("for us***@email.com", "for us***@email.com")
    assert outcome(rules, ONE, name=text) == ("unchanged", 1)


def test_a_masked_name_is_no_longer_than_a_name_may_be(rules: RuleVersions) -> None:
    longest = "password=a".rjust(256)
    _, row = put(rules, ONE, name=longest)
    assert row is not None
    assert row.name == "password=***".rjust(258)[:256]
    assert outcome(rules, ONE, name=longest) == outcome(rules, ONE, name=row.name) == ("unchanged", 1)


def test_going_back_is_a_new_version(rules: RuleVersions) -> None:
    assert [outcome(rules, config)[1] for config in (ONE, TWO, ONE)] == [1, 2, 3]


def test_no_version_is_created_if_the_parent_is_not_the_last(rules: RuleVersions) -> None:
    assert outcome(rules, ONE, parent=1) == ("not_the_last_version", None)
    put(rules, ONE)
    assert outcome(rules, TWO, parent=0) == ("not_the_last_version", 1)
    result, _ = put(rules, TWO, parent=2)
    assert result.detail == "the last version is 1, not 2: look at it and put yours again"
    assert outcome(rules, TWO, parent=1) == ("ok", 2)


def test_an_unusable_rule_is_refused_with_place_position_and_reason(rules: RuleVersions) -> None:
    result, row = put(rules, Signature(pattern="a(?=b)"))
    assert (result.code, result.version, row) == (CommandCode.UNUSABLE_RULE, None, None)
    assert (result.detail or "").startswith("pattern, character 1: ")
    assert rules.last("org-123", "r") is None


def test_tenants_and_rules_count_for_themselves(rules: RuleVersions) -> None:
    put(rules, ONE)
    assert outcome(rules, TWO, tenant_id="org-456") == ("ok", 1)
    assert outcome(rules, TWO, rule_id="r2") == ("ok", 1)


def test_rows_may_come_back_in_any_order(rules: RuleVersions) -> None:
    rows = [row for config in (ONE, TWO, ONE) for row in [put(rules, config)[1]] if row is not None]
    table = PartitionState(STATE).table(RULES)
    for row in reversed(rows):
        table.put(row, row.tenant_id, row.rule_id, str(row.version))
    restored = RuleVersions(table)
    assert restored.last("org-123", "r") == rows[-1]
    assert outcome(restored, TWO) == ("ok", 4)
