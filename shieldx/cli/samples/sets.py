"""The sample sets of a tenant."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from shieldx.cli.rows import rows_of
from shieldx.cli.stdout import printable
from shieldx.domains.shadow.tables import SAMPLE_SETS, SampleSetRow
from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from shieldx.bootstrap.platform import Platform

VERSION = re.compile(r"[0-9a-f]{16}")


class CheckSampleSet(ShieldXError):
    """The tenant does not have the set, version or sample. The message says what it has.

    Choose a set that `shieldx samples list` shows.
    """


class SetName(NamedTuple):
    """A set and the wanted version; None is the last sealed one."""

    sample_set: str
    version: str | None

    @classmethod
    def of(cls, text: str) -> SetName:
        """Parse `set@version` or `set`. Any further `@` belongs to the name."""
        name, at, version = text.rpartition("@")
        return cls(name, version) if at and VERSION.fullmatch(version) else cls(text, None)


async def sets_of(platform: Platform, tenant_id: str) -> list[SampleSetRow]:
    """All versions of all sets: sets by name, and their versions in the order of sealing."""
    rows = await rows_of(platform, SAMPLE_SETS, tenant_id, SampleSetRow)
    return sorted(rows, key=lambda row: (row.sample_set, row.sequence))


async def find_set(platform: Platform, tenant_id: str, name: SetName) -> SampleSetRow:
    """A version of a set.

    Raises:
        CheckSampleSet: It does not exist.
    """
    rows = await sets_of(platform, tenant_id)
    versions = [row for row in rows if row.sample_set == name.sample_set]
    if not versions:
        names = ", ".join(printable(each) for each in sorted({row.sample_set for row in rows}))
        raise CheckSampleSet(
            f"{printable(tenant_id)} has no set {printable(name.sample_set)!r}; "
            + (f"it has {names}" if names else "`shieldx samples import` creates one")
        )
    found = [row for row in versions if name.version in (None, row.version)]
    if not found:
        known = ", ".join(row.version for row in versions)
        raise CheckSampleSet(f"set {printable(name.sample_set)!r} has no version {name.version}; it has {known}")
    return found[-1]


def label_counts(row: SampleSetRow) -> Counter[str]:
    """The number of samples of each label."""
    return _counted(row, "label")


def category_counts(row: SampleSetRow) -> Counter[str]:
    """The number of samples of each category."""
    return _counted(row, "category")


def _counted(row: SampleSetRow, field: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for stratum in row.strata:
        counts[getattr(stratum, field)] += stratum.samples
    return counts
