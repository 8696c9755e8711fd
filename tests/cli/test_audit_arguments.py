"""How entries are named, selected and shown, without a broker."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec
import pytest

from shieldx.cli.audit.criteria import Criteria
from shieldx.cli.audit.entry_check import EntryCheck
from shieldx.cli.audit.entry_id import EntryId, EntryIdType
from shieldx.cli.audit.entry_sheet import print_entry, spread_out
from shieldx.cli.audit.entry_table import line
from shieldx.cli.audit.masked_entry import printed_entry
from shieldx.cli.audit.stream_time import LogTimeType
from shieldx.cli.whole_file import ChooseAnotherPlace, whole_file
from shieldx.settings import load_settings
from tests.cli.audit_topics import ROTATION, TENANTS, chain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

RIGHT = EntryCheck(hash_is_right=True, mac_is_right=True)


def test_an_entry_is_named_by_shard_and_sequence() -> None:
    assert EntryIdType().convert("3/17", None, None) == EntryId(3, 17)
    assert EntryIdType().convert(f"{2**31 - 1}/{2**53 - 1}", None, None) == EntryId(2**31 - 1, 2**53 - 1)


@pytest.mark.parametrize("text", ["3", "3/", "/3", "3/-1", "a/1", "3/1/2", "٣/1", f"{2**31}/0", f"0/{2**53}"])
def test_invalid_names_are_rejected(text: str) -> None:
    with pytest.raises(click.BadParameter, match="not an entry id of the form shard/sequence, such as 3/17"):
        EntryIdType().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-22T13:07:11.930Z", datetime(2026, 11, 22, 13, 7, 11, 930_000, UTC)),
        ("2026-11-22T14:07:11.930001+01:00", datetime(2026, 11, 22, 13, 7, 11, 931_000, UTC)),
        ("2026-11-22T23:59:59.9999Z", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
    ],
)
def test_a_bound_on_log_time_is_the_next_whole_millisecond(text: str, at: datetime) -> None:
    assert LogTimeType().convert(text, None, None) == at


@pytest.mark.parametrize("text", ["17", "yesterday", "9999-12-31T23:59:59.9999Z", "0001-01-01T00:00:00+01:00"])
def test_invalid_times_are_rejected(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"not a time such as|not within the years"):
        LogTimeType().convert(text, None, None)


@pytest.mark.parametrize(
    ("criteria", "sequences"),
    [
        (Criteria(), [99, 100, 101, 102, 103]),
        (Criteria(tenant_id=TENANTS[0]), [99, 101, 102, 103]),
        (Criteria(action="user.*"), [99, 101, 102, 103]),
        (Criteria(action="*"), [99, 100, 101, 102, 103]),
        (Criteria(action="user."), []),
        (Criteria(action="audit.rotate"), [100]),
        (Criteria(actor="alice\x1b[2J1"), [101]),
        (Criteria(outcome="denied"), [99, 102]),
        (Criteria(subject="user/3", action="user.login"), [103]),
        (Criteria(start=LogTimeType().convert("2026-01-01T12:05:03Z", None, None)), [101, 102, 103]),
        (Criteria(end=LogTimeType().convert("2026-01-01T12:05:03Z", None, None)), [99, 100]),
        (Criteria(start=LogTimeType().convert("2026-01-01T12:05:03.0001Z", None, None)), [102, 103]),
    ],
)
def test_entries_are_selected_by_criteria(criteria: Criteria, sequences: list[int]) -> None:
    wanted = criteria.predicate()
    assert [each.sequence for each in chain(0)[ROTATION - 1 : ROTATION + 4] if wanted(each)] == sequences


def test_a_line_has_no_control_characters_and_tells_what_is_missing() -> None:
    assert line(chain(0)[0]).startswith(
        f"0/0  2026-01-01T12:00:00.000Z  {TENANTS[0]}  alice\\x1b[2J0  credits.purchase"
    )
    assert "  -  user.login" in line(chain(0)[3])


def test_an_entry_is_shown_with_every_field_and_its_payload(capsys: pytest.CaptureFixture[str]) -> None:
    print_entry(chain(0)[0], "audit.log/0/0", RIGHT)
    shown = capsys.readouterr().out
    fields = [text.split()[0] for text in shown.split("read from")[0].splitlines()[1:]]
    assert fields == list(chain(0)[0].__struct_fields__)
    values = [text.split(None, 1)[1].strip() for text in shown.split("read from")[0].splitlines()[1:]]
    assert (values[fields.index("occurred_at")], values[fields.index("source")]) == ('""', "null")
    assert re.search(r"^the hash is +right *\nthe mac is +right *$", shown, re.MULTILINE)
    assert shown.endswith('\n\n{\n  "n": 1.50,\n  "text": "\\u001b"\n}\n')
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("check", "hash_", "mac"),
    [
        (EntryCheck(hash_is_right=False, mac_is_right=True), "WRONG: the content does not match the hash", "right"),
        (EntryCheck(hash_is_right=True, mac_is_right=False), "right", "WRONG: not signed with key k1"),
        (EntryCheck(hash_is_right=True, mac_is_right=None, reason="why"), "right", "not verified: why"),
    ],
)
def test_an_entry_is_shown_with_what_is_wrong_with_it(
    capsys: pytest.CaptureFixture[str], check: EntryCheck, hash_: str, mac: str
) -> None:
    print_entry(chain(0)[0], "audit.log/0/0", check)
    shown = capsys.readouterr().out
    assert re.search(rf"^the hash is +{hash_} *\nthe mac is +{mac} *$", shown, re.MULTILINE)


ENTRY = msgspec.structs.replace(
    chain(0)[0],
    actor="ada@analytical.example",
    subject="card/4111111111111111",
    payload='{"n": 1.50, "from": "10.20.30.40", "own": "CASE-1234"}',
)
RULES = "[[rule]]\nname = 'case'\npattern = 'CASE-[0-9]+'\n"


@pytest.mark.parametrize("unmasked", [False, True])
def test_actor_subject_and_payload_are_printed_masked_unless_asked_for_as_they_are(
    tmp_path: Path, *, unmasked: bool
) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    settings = load_settings({"SHIELDX_MASKING_RULES_FILE": str(tmp_path / "rules.toml")})
    printed = printed_entry(settings, unmasked=unmasked)(ENTRY)
    changed = {name for name in ENTRY.__struct_fields__ if getattr(printed, name) != getattr(ENTRY, name)}
    if unmasked:
        assert changed == set()
    else:
        assert changed == {"actor", "subject", "payload"}
        assert (printed.actor, printed.subject) == ("ad***@analytical.example", "card/************1111")
        assert printed.payload == '{"n": 1.50, "from": "10.20.*.*", "own": "***"}'


def test_a_sealed_or_missing_payload_and_a_missing_actor_stay_as_they_are() -> None:
    printed = printed_entry(load_settings({}), unmasked=False)
    assert [printed(each) for each in chain(0)[:12]] == chain(0)[:12]


def test_a_sealed_payload_is_named_with_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    print_entry(chain(0)[1], "audit.log/0/1", RIGHT)
    shown = capsys.readouterr().out
    assert "sealed with A256GCM/1 by key user/7, 40 bytes" in shown
    assert "ciphertext" not in shown


def test_a_payload_that_is_not_json_is_shown_unchanged() -> None:
    assert spread_out("{no json") == "{no json"
    assert spread_out('{"same":1,"same":2.50}') == '{\n  "same": 1,\n  "same": 2.50\n}'


def test_an_unfinished_file_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    path.write_bytes(b"the last one")
    with pytest.raises(KeyboardInterrupt), whole_file(path) as file:  # noqa: PT012 - it must be raised while open
        file.write(b"half of")
        raise KeyboardInterrupt
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("audit.ndjson", b"the last one")]


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with (
        pytest.raises(ChooseAnotherPlace, match=r"nowhere/audit\.ndjson"),
        whole_file(tmp_path / "nowhere" / "audit.ndjson"),
    ):
        pytest.fail("it was opened")


@pytest.mark.parametrize(
    "arguments", [("tail",), ("show", "0/0", "--from", "kafka"), ("export",), ("heads",), ("search", "--actor", "a")]
)
def test_without_a_stack_commands_say_what_to_start(shieldx: Callable[..., Result], arguments: tuple[str, ...]) -> None:
    result = shieldx("audit", *arguments)
    assert result.exit_code == 2
    assert "Run `shieldx up`, or set SHIELDX_KAFKA_BOOTSTRAP" in result.stderr


def test_a_search_for_nothing_is_refused(shieldx: Callable[..., Result]) -> None:
    result = shieldx("audit", "search", "--limit", "3")
    assert result.exit_code == 2
    assert "no criteria: use --tenant" in result.stderr


def test_a_search_without_postgres_names_both_remedies(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    result = shieldx("audit", "search", "--tenant", "acme")
    assert result.exit_code == 2
    assert "set SHIELDX_POSTGRES_DSN, or run `shieldx up`" in result.stderr
    assert "shieldx audit tail" in result.stderr


@pytest.mark.parametrize("arguments", [("tail",), ("show", "0/0", "--from", "kafka"), ("heads",)])
def test_a_broker_that_does_not_answer_is_named(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    result = shieldx("audit", *arguments)
    assert result.exit_code in (1, 2)
    assert "127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.output
