from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from click.testing import Result


def test_acls_need_no_kafka_and_name_each_user(shieldx: Callable[..., Result]) -> None:
    rows = [json.loads(line) for line in shieldx("topics", "acls", "--json").stdout.splitlines()]
    assert {"shieldx.credits", "shieldx.client"} <= {row["principal"] for row in rows}
    assert all(row["why"] for row in rows)


def test_users_and_groups_are_named_as_in_this_place(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIELDX_APPLICATION", "staging")
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "broker:9092")
    commands = shieldx("topics", "acls", "--commands", "--principal-prefix", "svc-").stdout.splitlines()
    assert (
        "kafka-acls.sh --bootstrap-server broker:9092 --command-config admin.properties "
        "--add --allow-principal User:svc-credits --operation Write "
        "--transactional-id staging.credits. --resource-pattern-type prefixed"
    ) in commands


def test_the_table_is_for_people(shieldx: Callable[..., Result]) -> None:
    heading, *rows = shieldx("topics", "acls").stdout.splitlines()
    assert heading.split() == ["user", "resource", "name", "pattern", "operation", "why"]
    assert any(row.split()[:5] == ["shieldx.credits", "topic", "credits.results", "literal", "Write"] for row in rows)
