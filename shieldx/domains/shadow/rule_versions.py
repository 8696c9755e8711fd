"""The rules of the tenants of one partition: every version of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.shadow.messages import CommandCode, CommandResult
from shieldx.domains.shadow.rule import rule_hash
from shieldx.domains.shadow.rule_name import masked_name
from shieldx.domains.shadow.tables import RuleRow
from shieldx.domains.shadow.usability import why_unusable
from shieldx.messages import rfc3339
from shieldx.privacy import mask

if TYPE_CHECKING:
    from shieldx.domains.shadow.messages import PutRule
    from shieldx.state.keyed_table import KeyedTable


class RuleVersions:
    """Versions count from 1 without gaps and never change."""

    def __init__(self, table: KeyedTable[RuleRow]) -> None:
        self._table = table
        self._versions: dict[tuple[str, str], dict[int, RuleRow]] = {}
        for row in table.rows():
            self._index(row)

    def find(self, tenant_id: str, rule_id: str, version: int) -> RuleRow | None:
        """A version of a rule, if there is one."""
        return self._versions.get((tenant_id, rule_id), {}).get(version)

    def last(self, tenant_id: str, rule_id: str) -> RuleRow | None:
        """The last version of a rule, if it has any."""
        versions = self._versions.get((tenant_id, rule_id))
        return None if versions is None else versions[len(versions)]

    def put(self, command: PutRule, at_ms: int) -> CommandResult:
        """Create a rule's next version, unless the last one has the same content or is not the expected one.

        A repeated command therefore changes nothing.
        """
        last = self.last(command.tenant_id, command.rule_id)
        version, content = 0 if last is None else last.version, rule_hash(command.config)
        name = masked_name(command.name)
        if last is not None and (last.hash, last.name) == (content, name):
            return _result(command, CommandCode.UNCHANGED, version, at_ms)
        if isinstance(command.parent, int) and command.parent != version:
            detail = f"the last version is {version}, not {command.parent}: look at it and put yours again"
            return _result(command, CommandCode.NOT_THE_LAST_VERSION, version or None, at_ms, detail)
        unusable = why_unusable(command.config)
        if unusable is not None:
            return _result(command, CommandCode.UNUSABLE_RULE, None, at_ms, unusable)
        row = RuleRow(
            tenant_id=command.tenant_id,
            rule_id=command.rule_id,
            version=version + 1,
            name=name,
            config=command.config,
            hash=content,
            author=command.author,
            parent=version or None,
            note=mask(command.note),
            at=rfc3339(at_ms),
        )
        self._index(row)
        self._table.put(row, row.tenant_id, row.rule_id, str(row.version))
        return _result(command, CommandCode.OK, row.version, at_ms)

    def _index(self, row: RuleRow) -> None:
        self._versions.setdefault((row.tenant_id, row.rule_id), {})[row.version] = row


def _result(
    command: PutRule, code: CommandCode, version: int | None, at_ms: int, detail: str | None = None
) -> CommandResult:
    return CommandResult(
        tenant_id=command.tenant_id,
        type="put_rule",
        subject=command.rule_id,
        code=code,
        version=version,
        detail=detail,
        at=rfc3339(at_ms),
    )
