from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shieldx.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from click.testing import Result


def test_every_setting_is_shown_with_its_description(shieldx: Callable[..., Result]) -> None:
    shown = [json.loads(line) for line in shieldx("config", "--json").stdout.splitlines()]
    assert [setting["name"] for setting in shown] == [f"SHIELDX_{n.upper()}" for n in Settings.__struct_fields__]
    assert all(setting["description"] for setting in shown)


def test_values_come_from_the_environment_and_passwords_do_not_show(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIELDX_KAFKA_PASSWORD", "hunter2")
    monkeypatch.setenv("SHIELDX_POSTGRES_DSN", "postgresql://shieldx:hunter2@db:5432/ledger")
    monkeypatch.setenv("SHIELDX_HEALTH_PORT", "8080")
    for arguments in (["config"], ["config", "--json"], ["config", "--markdown"]):
        assert "hunter2" not in shieldx(*arguments).stdout
    shown = [json.loads(line) for line in shieldx("config", "--json").stdout.splitlines()]
    values = {setting["name"]: (setting["value"], setting["default"], setting["allowed"]) for setting in shown}
    assert values["SHIELDX_KAFKA_PASSWORD"] == ("********", None, "text")
    assert values["SHIELDX_POSTGRES_DSN"][0] == "********"
    assert values["SHIELDX_HEALTH_PORT"] == (8080, 0, "0 to 65535")
    assert values["SHIELDX_LOG_FORMAT"] == ("json", "json", "json, text")
    assert values["SHIELDX_REPLICATION"] == (None, None, "1 or more")
    assert values["SHIELDX_HOME"] == (None, None, "path")


def test_the_page_does_not_depend_on_the_environment(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = shieldx("config", "--markdown").stdout
    monkeypatch.setenv("SHIELDX_PARTITIONS", "77")
    assert shieldx("config", "--markdown").stdout == page
    assert "| `SHIELDX_PARTITIONS` | `12` | 1 to 10000 | Partitions of every topic" in page
