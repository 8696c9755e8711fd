"""Reads a rule from a file: an evaluation request, the output of `shieldx rule show --json`, or only the content."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from shieldx.domains.shadow.rule import RuleConfig, rule_type
from shieldx.errors import ShieldXError
from shieldx.strict_reading import LeavesOut, check_nothing_left_out


class CorrectRule(ShieldXError):
    """The rule is unusable. The message gives the location and the reason.

    Correct the rule and put it again.
    """


class RuleFile(NamedTuple):
    """What a file says about a rule."""

    config: RuleConfig
    rule_id: str | None = None
    name: str | None = None
    tenant_id: str | None = None


class _Request(msgspec.Struct, frozen=True):
    """An evaluation request; its other fields are ignored."""

    rule_config: RuleConfig
    rule_id: str | None = None
    rule_name: str | None = None
    rule_type: str | None = None
    tenant_id: str | None = None


class _Row(msgspec.Struct, frozen=True):
    config: RuleConfig
    rule_id: str | None = None
    name: str | None = None
    tenant_id: str | None = None


class _Keys(msgspec.Struct, frozen=True):
    """The fields that distinguish the file formats."""

    rule_config: msgspec.Raw | UnsetType = UNSET
    config: msgspec.Raw | UnsetType = UNSET


def read_rule(content: bytes) -> RuleFile:
    """Read the rule from a file's content.

    Raises:
        CorrectRule: The content is not a rule, or its type differs from the declared one.
    """
    keys = _decoded(content, _Keys)
    try:
        check_nothing_left_out(content, _decoded(content, Any))
    except (LeavesOut, RecursionError) as error:
        raise CorrectRule(f"the file is not a rule: {error}") from error
    if keys.rule_config is not UNSET:
        request = _decoded(content, _Request)
        tag = rule_type(request.rule_config)
        if request.rule_type not in (None, tag):
            raise CorrectRule(f"the file declares the rule type {request.rule_type!r}, but the rule's type is {tag!r}")
        return RuleFile(request.rule_config, request.rule_id, request.rule_name, request.tenant_id)
    if keys.config is not UNSET:
        row = _decoded(content, _Row)
        return RuleFile(row.config, row.rule_id, row.name, row.tenant_id)
    return RuleFile(_decoded(content, RuleConfig))


def _decoded(content: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorrectRule(f"the file is not a rule: {error}") from error
    except RecursionError as error:
        raise CorrectRule("the file is not a rule: nested too deeply") from error
