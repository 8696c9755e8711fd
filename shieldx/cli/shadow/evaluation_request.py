"""The request of an evaluation: a JSON file, whose fields options can override."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.cli.lines_of_input import STDIN, open_input
from shieldx.domains.shadow.messages import Evaluate
from shieldx.engine.tasks.codec import DECODE_ERRORS
from shieldx.errors import FixConfiguration
from shieldx.strict_reading import LeavesOut, check_nothing_left_out

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REQUEST_BYTES = 1_000_000
"""The maximum size of a record. Prevents reading a wrong file completely."""
TARGETS = "targets"


class CorrectRequest(FixConfiguration):
    """The request is invalid and was not sent, or the agent has dead-lettered it. The message says what is wrong.

    Correct the request and send it again.
    """


def read_request(path: str) -> dict[str, Any]:
    """Read the fields of a request from a file, or from stdin for `-`.

    Raises:
        FixConfiguration: The file cannot be read.
        CorrectRequest: The content is not a JSON object.
    """
    name = "stdin" if path == STDIN else path
    with open_input(path) as file:
        try:
            text = file.read(MAX_REQUEST_BYTES + 1)
        except OSError as error:
            raise FixConfiguration(f"cannot read {name}: {error.strerror}") from error
    if len(text) > MAX_REQUEST_BYTES:
        raise CorrectRequest(f"{name} exceeds {MAX_REQUEST_BYTES:,} bytes, the maximum for a record; shorten the rule")
    try:
        fields = msgspec.json.decode(text)
        check_nothing_left_out(text, fields)
    except LeavesOut as error:
        raise CorrectRequest(f"{name} is ambiguous: {error}") from error
    except DECODE_ERRORS as error:
        raise CorrectRequest(f"{name} is not JSON: {error}; expected an object as in `shieldx evaluate -h`") from error
    if not isinstance(fields, dict):
        raise CorrectRequest(f"{name} is not a JSON object; expected one as in `shieldx evaluate -h`")
    return fields


def request_of(fields: Mapping[str, Any], options: Mapping[str, Any], targets: Mapping[str, float]) -> Evaluate:
    """The request. Options override fields.

    Raises:
        CorrectRequest: A field is missing, unknown or invalid; the message has its path.
    """
    for name in fields:
        if name not in Evaluate.__struct_fields__:
            similar = get_close_matches(name, Evaluate.__struct_fields__, n=1)
            hint = f"did you mean `{similar[0]}`?" if similar else "remove it"
            raise CorrectRequest(f"unknown field {name!r} - at `$.{name}`; {hint}")
    asked = {**fields, **options}
    if not isinstance(asked.get(TARGETS, {}), dict):
        raise CorrectRequest(f"Expected `object` - at `$.{TARGETS}`")
    if targets:
        asked[TARGETS] = {**asked.get(TARGETS, {}), **targets}
    try:
        return msgspec.json.decode(msgspec.json.encode(asked), type=Evaluate)
    except UnicodeEncodeError as error:
        raise CorrectRequest("the options are not UTF-8") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise CorrectRequest(f"{error}; see `shieldx schemas shadow.evaluation/1`") from error
