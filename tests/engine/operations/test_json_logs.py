from __future__ import annotations

import json
import logging
import sys

from shieldx.engine.operations.json_logs import JsonFormatter


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "shieldx", "levelname": "INFO", "msg": message, "created": 0.5})
    made.__dict__.update(extra)
    return made


def test_a_line_holds_what_was_given_as_extra() -> None:
    line = json.loads(JsonFormatter().format(record("assigned", agent="credits", partitions=[0, 2])))
    assert line == {
        "at": "1970-01-01T00:00:00.500Z",
        "level": "info",
        "logger": "shieldx",
        "message": "assigned",
        "agent": "credits",
        "partitions": [0, 2],
    }


def test_an_exception_stays_in_one_line() -> None:
    try:
        raise ValueError("no")  # noqa: TRY301 - the traceback is what is tested
    except ValueError:
        text = JsonFormatter().format(record("failed", exc_info=sys.exc_info()))
    assert "\n" not in text
    assert "ValueError: no" in json.loads(text)["exception"]


def test_what_json_cannot_hold_is_written_as_python_shows_it() -> None:
    assert json.loads(JsonFormatter().format(record("x", seen=object)))["seen"] == "<class 'object'>"
