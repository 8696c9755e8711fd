from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest

from shieldx.cli.worker_logs import TextFormatter
from shieldx.engine.operations.json_logs import JsonFormatter
from shieldx.privacy import default_masker
from shieldx.privacy.log_filter import MaskingFilter

if TYPE_CHECKING:
    from collections.abc import Callable


def logged(formatter: logging.Formatter, log: Callable[[logging.Logger], object]) -> str:
    """What a handler with the filter writes."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    handler.addFilter(MaskingFilter(default_masker))
    logger = logging.Logger("shieldx")  # noqa: LOG001 - its own, so that no other test's handler sees it
    logger.addHandler(handler)
    log(logger)
    return out.getvalue()


def test_a_message_is_masked_with_its_arguments() -> None:
    line = logged(
        JsonFormatter(), lambda logger: logger.warning("%s paid with %s", "user@email.com", "4111 1111 1111 1111")
    )
    assert json.loads(line)["message"] == "us***@email.com paid with **** **** **** 1111"


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_the_text_of_an_exception_is_masked(formatter: logging.Formatter) -> None:
    def fail(logger: logging.Logger) -> None:
        try:
            raise ValueError("no such user: user@email.com")  # noqa: TRY301 - the traceback is what is tested
        except ValueError:
            logger.exception("failed")

    text = logged(formatter, fail)
    assert "ValueError: no such user: us***@email.com" in text
    assert "Traceback" in text


def test_extra_values_are_masked_by_their_names_and_texts() -> None:
    extra = {"password": "x", "user_agent": "curl/8.5", "seen": {"who": ["user@email.com"], "count": 2}, "ok": True}
    line = json.loads(logged(JsonFormatter(), lambda logger: logger.warning("seen", extra=extra)))
    assert line["password"] == "***"  # noqa: S105 - it is none
    assert line["user_agent"] == "curl/***"
    assert line["seen"] == {"who": ["us***@email.com"], "count": 2}
    assert line["ok"] is True


def test_keys_of_extra_values_are_masked() -> None:
    extra = {"user@email.com": 1, "seen": {"user@email.com": {"user@email.com": 2}}}
    line = json.loads(logged(JsonFormatter(), lambda logger: logger.warning("seen", extra=extra)))
    assert line["us***@email.com"] == 1
    assert line["seen"] == {"us***@email.com": {"us***@email.com": 2}}
    assert "user@email.com" not in line


def test_arguments_that_do_not_fit_are_not_written() -> None:
    line = logged(JsonFormatter(), lambda logger: logger.warning("%d", "user@email.com"))
    assert json.loads(line)["message"] == "%d (its arguments cannot be formatted: TypeError)"


def test_an_extra_that_cannot_be_looked_at_does_not_stop_the_program_that_logs() -> None:
    cyclic: dict[str, object] = {"card": "4532-1234-5678-9010"}
    cyclic["itself"] = cyclic
    record = logging.makeLogRecord({"msg": "x", "cyclic": cyclic, "mail": "ada@analytical.example"})
    assert MaskingFilter(default_masker).filter(record)
    assert record.__dict__["cyclic"].startswith("<cannot be shown: ")
    assert record.__dict__["mail"] == "ad***@analytical.example"
