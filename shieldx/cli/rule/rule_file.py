"""A rule in a file: a request for an evaluation, what `shieldx rule show --json` prints, or its content alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from shieldx.domains.shadow.rule import RuleConfig, rule_type
from shieldx.errors import ShieldXError


class CorrectRule(ShieldXError):
    """The rule cannot be used as it is; the message says where and why."""


class RuleFile(NamedTuple):
    """What a file says of a rule."""

    config: RuleConfig
    rule_id: str | None = None
    name: str | None = None
    tenant_id: str | None = None


class _Request(msgspec.Struct, frozen=True):
    """As an evaluation is asked for; what else a request has is of no concern here."""

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
    """By what a file's form is known."""

    rule_config: msgspec.Raw | UnsetType = UNSET
    config: msgspec.Raw | UnsetType = UNSET


def read_rule(content: bytes) -> RuleFile:
    """The rule in a file's content.

    Raises:
        CorrectRule: it is none, or another type than the file says.
    """
    keys = _decoded(content, _Keys)
    if keys.rule_config is not UNSET:
        request = _decoded(content, _Request)
        tag = rule_type(request.rule_config)
        if request.rule_type not in (None, tag):
            raise CorrectRule(f"the file says that the rule's type is {request.rule_type!r}, but it is {tag!r}")
        return RuleFile(request.rule_config, request.rule_id, request.rule_name, request.tenant_id)
    if keys.config is not UNSET:
        row = _decoded(content, _Row)
        return RuleFile(row.config, row.rule_id, row.name, row.tenant_id)
    return RuleFile(_decoded(content, RuleConfig))


def _decoded(content: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorrectRule(f"the file holds no rule: {error}") from error
    except RecursionError as error:
        raise CorrectRule("the file holds no rule: nested too deeply") from error
