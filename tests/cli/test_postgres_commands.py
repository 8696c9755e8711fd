"""Commands that need Postgres, without Postgres or with a wrong one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import pytest

from shieldx.cli.moment import MomentType, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result


@pytest.mark.parametrize("arguments", [("balance", "t"), ("statement", "t"), ("migrate", "up"), ("migrate", "status")])
def test_without_postgres_both_remedies_are_named(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    result = shieldx(*arguments)
    assert result.exit_code == 2
    assert "set SHIELDX_POSTGRES_DSN, or run `shieldx up`" in result.stderr


@pytest.mark.parametrize("arguments", [("balance", "t"), ("statement", "t"), ("migrate", "up"), ("migrate", "status")])
def test_a_postgres_that_does_not_answer_is_named_without_its_password(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("SHIELDX_POSTGRES_DSN", "postgresql://u:hunter2@127.0.0.1:1/ledger")
    result = shieldx(*arguments)
    assert result.exit_code == 1
    assert "Postgres at 127.0.0.1:1/ledger does not respond" in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.integration
@pytest.mark.parametrize("arguments", [("balance", "t"), ("statement", "t")])
def test_a_missing_schema_names_the_command(
    postgres: str, shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("SHIELDX_POSTGRES_DSN", postgres)  # its first database, which no test migrates
    result = shieldx(*arguments)
    assert result.exit_code == 2
    assert "behind this program: 0001-positions, 0002-credits, 0003-audit, 0004-privacy is not applied" in result.stderr
    assert "Run `shieldx migrate up`" in result.stderr


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("17", 17),
        (str(2**63 - 1), 2**63 - 1),
        ("2026-11-22T13:07:11.930Z", datetime(2026, 11, 22, 13, 7, 11, 930_000, UTC)),
        ("2026-11-22T14:07:11+01:00", datetime(2026, 11, 22, 13, 7, 11, tzinfo=UTC)),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
    ],
)
def test_a_moment_is_an_offset_or_a_time_in_utc(text: str, moment: object) -> None:
    assert MomentType().convert(text, None, None) == moment


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("yesterday", "neither an offset nor a time"),
        (str(2**63), "not an offset: the maximum is 9223372036854775807"),
        ("9" * 5000, "not an offset: the maximum is 9223372036854775807"),
        ("0001-01-01T00:00:00+01:00", "not within the years 1 to 9999"),
    ],
)
def test_no_moment_is_refused(text: str, reason: str) -> None:
    with pytest.raises(click.BadParameter, match=reason):
        MomentType().convert(text, None, None)


@pytest.mark.parametrize(
    "arguments", [("balance", "t", "--at"), ("statement", "t", "--from"), ("statement", "t", "--to")]
)
def test_an_offset_beyond_the_greatest_is_named(shieldx: Callable[..., Result], arguments: tuple[str, ...]) -> None:
    result = shieldx(*arguments, "99999999999999999999")
    assert result.exit_code == 2
    assert "99999999999999999999 is not an offset" in result.stderr


def test_a_time_is_shown_as_results_show_it() -> None:
    assert rfc3339(datetime(2026, 11, 22, 13, 7, 11, 930_000, UTC)) == "2026-11-22T13:07:11.930Z"
