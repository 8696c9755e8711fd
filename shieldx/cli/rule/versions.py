"""The versions of a tenant's rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from shieldx.cli.rows import rows_of
from shieldx.cli.stdout import printable
from shieldx.domains.shadow.tables import RULES, RuleRow
from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.bootstrap.platform import Platform

_WITH_VERSION = re.compile(r"(?P<rule_id>.+)@(?P<version>[1-9][0-9]{0,17})", re.DOTALL)


class CheckRule(ShieldXError):
    """The tenant does not have the rule or the version. The message says what it has.

    Choose a rule and a version that `shieldx rule list` shows.
    """


class RuleName(NamedTuple):
    """A rule and the wanted version; None is the last one."""

    rule_id: str
    version: int | None

    @classmethod
    def of(cls, text: str) -> RuleName:
        """Parse `id@version` or `id`. Any further `@` belongs to the id."""
        match = _WITH_VERSION.fullmatch(text)
        return cls(text, None) if match is None else cls(match["rule_id"], int(match["version"]))


class RuleNameType(click.ParamType):
    """A rule's name as a command argument."""

    name = "id[@n]"

    def __init__(self, *, needs_version: bool = False) -> None:
        """With `needs_version`, the version is required."""
        self._needs_version = needs_version

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> RuleName:
        """Parse `id@3`, or `id` if no version is required."""
        found = value if isinstance(value, RuleName) else RuleName.of(str(value))
        if self._needs_version and found.version is None:
            self.fail(f"specify a version, such as {found.rule_id}@1; `shieldx rule list` lists them", param, ctx)
        return found


async def rules_of(platform: Platform, tenant_id: str) -> list[RuleRow]:
    """All versions of all rules: rules by id, and their versions in order."""
    rows = await rows_of(platform, RULES, tenant_id, RuleRow)
    return sorted(rows, key=lambda row: (row.rule_id, row.version))


def find_rule(rows: Sequence[RuleRow], tenant_id: str, name: RuleName) -> RuleRow:
    """A version of a rule.

    Raises:
        CheckRule: It does not exist.
    """
    versions = versions_of(rows, tenant_id, name.rule_id)
    found = [row for row in versions if name.version in (None, row.version)]
    if not found:
        raise CheckRule(
            f"rule {printable(name.rule_id)!r} has no version {name.version}; its last is {versions[-1].version}"
        )
    return found[-1]


def versions_of(rows: Sequence[RuleRow], tenant_id: str, rule_id: str) -> list[RuleRow]:
    """The versions of one rule.

    Raises:
        CheckRule: The rule does not exist.
    """
    versions = [row for row in rows if row.rule_id == rule_id]
    if not versions:
        raise CheckRule(
            f"{printable(tenant_id)} has no rule {printable(rule_id)!r}; `shieldx rule list` lists its rules"
        )
    return versions


def last_versions(rows: Sequence[RuleRow]) -> list[RuleRow]:
    """The last version of each rule."""
    last: dict[str, Any] = {row.rule_id: row for row in rows}
    return list(last.values())
