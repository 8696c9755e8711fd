"""The request of an evaluation: a file of JSON, some of whose fields options override."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.cli.lines_of_input import STDIN, open_input
from shieldx.domains.shadow.messages import Evaluate
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REQUEST_BYTES = 1_000_000
"""No record holds more. It keeps the wrong file from being read whole."""
TARGETS = "targets"


class CorrectRequest(FixConfiguration):
    """It cannot be evaluated as it stands, and nothing was sent, or the agent has set it aside. Says what is wrong."""


def read_request(path: str) -> dict[str, Any]:
    """The fields of a request in a file, or in stdin for `-`.

    Raises:
        FixConfiguration: the file cannot be read.
        CorrectRequest: it is no JSON object.
    """
    name = "stdin" if path == STDIN else path
    with open_input(path) as file:
        try:
            text = file.read(MAX_REQUEST_BYTES + 1)
        except OSError as error:
            raise FixConfiguration(f"{name} cannot be read: {error.strerror}") from error
    if len(text) > MAX_REQUEST_BYTES:
        raise CorrectRequest(f"{name} is longer than {MAX_REQUEST_BYTES:,} bytes: no record holds it; shorten the rule")
    try:
        fields = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CorrectRequest(f"{name} is no JSON: {error}; give one object, as `shieldx evaluate -h` shows") from error
    if not isinstance(fields, dict):
        raise CorrectRequest(f"{name} holds no JSON object; give one, as `shieldx evaluate -h` shows")
    return fields


def request_of(fields: Mapping[str, Any], options: Mapping[str, Any], targets: Mapping[str, float]) -> Evaluate:
    """The request, where options come before fields.

    Raises:
        CorrectRequest: a field is missing, unknown or wrong; the message has its path.
    """
    for name in fields:
        if name not in Evaluate.__struct_fields__:
            similar = get_close_matches(name, Evaluate.__struct_fields__, n=1)
            hint = f"did you mean `{similar[0]}`?" if similar else "leave it out"
            raise CorrectRequest(f"there is no field {name!r} - at `$.{name}`; {hint}")
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
        raise CorrectRequest(f"{error}; `shieldx schemas shadow.evaluation/1` prints what is allowed") from error
