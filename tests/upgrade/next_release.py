"""A copy of this checkout as the next release might be: a field, a code and a state more, at format level 2."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
PARTS = ("agents", "migrations", "schemas", "shieldx", "topics")
Patch = tuple[str, str]
"""A text that a file contains once, and its replacement in the next release."""

_CONSUME = '    """Spend available credits at once."""\n\n    amount: Credits\n'
_REFUSES = "        if balance - reserved < amount:\n            return Code.INSUFFICIENT_FUNDS\n"
_SPENDS = "        self.accounts.put(command.tenant_id, Balances(balance - amount, "
_LEVEL = """\
        self._format_level = format_level
        self._aborted = State.ABORTED if format_level >= 2 else State.SETTLED
"""
_ABORTED = "        return Code.OK\n\n    def _refund"
PATCHES: dict[str, tuple[Patch, ...]] = {
    "state/forms.py": (("\nFORMAT_LEVEL = 1\n", "\nFORMAT_LEVEL = 2\n"),),
    "domains/credits/messages.py": (
        (
            '    INSUFFICIENT_FUNDS = "insufficient_funds"\n',
            '    SPENDING_LIMIT = "spending_limit"\n    INSUFFICIENT_FUNDS = "insufficient_funds"\n',
        ),
        (_CONSUME, _CONSUME + '    category: Word = ""\n    since_level: ClassVar = {"category": 2}\n'),
        ("import TYPE_CHECKING, Annotated\n", "import TYPE_CHECKING, Annotated, ClassVar\n"),
    ),
    "domains/credits/tables.py": (('    SETTLED = "settled"\n', '    SETTLED = "settled"\n    ABORTED = "aborted"\n'),),
    "domains/credits/reservations.py": (("State.EXPIRED: 2}", "State.EXPIRED: 2, State.ABORTED: 3}"),),
    "domains/credits/outcomes.py": (
        ("\nVERSION = 1\n", "\nVERSION = 2\n"),
        (
            "    Code.INSUFFICIENT_FUNDS: 13,\n",
            "    Code.SPENDING_LIMIT: 18,\n    Code.INSUFFICIENT_FUNDS: 13,\n",
        ),
        ('    "personal": 10,\n', '    "personal": 10,\n    "category": 11,\n'),
        (
            "def pack(command: Command, outcome: Outcome) -> bytes:\n",
            "def pack(command: Command, outcome: Outcome, version: int = VERSION) -> bytes:\n",
        ),
        ("_HEADS[count].pack(\n        VERSION,\n", "_HEADS[count].pack(\n        version,\n"),
        ("check_version(FORM, packed[0], (VERSION,))", "check_version(FORM, packed[0], (1, VERSION))"),
    ),
    "domains/credits/state.py": (("versions=(outcomes.VERSION,)", "versions=(1, outcomes.VERSION)"),),
    "domains/credits/fold.py": (
        (
            "        self._partition = context.partition\n",
            "        self._partition = context.partition\n        self._version = context.format_level\n",
        ),
        (
            "            context.table(state.TRANSACTIONS),\n",
            "            context.table(state.TRANSACTIONS),\n            context.format_level,\n",
        ),
        ("pack(command, outcome)", "pack(command, outcome, self._version)"),
        ("pack(batch, outcome)", "pack(batch, outcome, self._version)"),
    ),
    "domains/credits/ledger.py": (
        ("transactions: Transactions)", "transactions: Transactions, format_level: int)"),
        ("        self.accounts = accounts\n", "        self.accounts = accounts\n" + _LEVEL),
        (
            _REFUSES + _SPENDS,
            "        if self._format_level >= 2 and amount > 1_000_000:\n"
            "            return Code.SPENDING_LIMIT\n" + _REFUSES + _SPENDS,
        ),
        ("State.SETTLED, at_ms))\n" + _ABORTED, "self._aborted, at_ms))\n" + _ABORTED),
    ),
}


NOTHING: Mapping[str, tuple[Patch, ...]] = MappingProxyType({})


class PatchFails(Exception):
    """The text that a patch replaces is no longer in the sources, or is there more than once."""


def write_next_release(folder: Path, careless: Mapping[str, tuple[Patch, ...]] = NOTHING) -> Path:
    """Write the next release into a folder, with further patches that break a rule, and return the folder.

    Raises:
        PatchFails: this release's sources have changed; PATCHES must change with them.
    """
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name, patches in (*PATCHES.items(), *careless.items()):
        path = folder / "shieldx" / name
        path.write_text(patched(name, path.read_text(), patches))
    return folder


def patched(name: str, text: str, patches: tuple[Patch, ...]) -> str:
    """The text of a file with every patch applied.

    Raises:
        PatchFails: a file does not contain a text to replace exactly once.
    """
    for old, new in patches:
        if (count := text.count(old)) != 1:
            raise PatchFails(f"shieldx/{name} has {old!r} {count} times")
        text = text.replace(old, new)
    return text
