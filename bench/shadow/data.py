"""The real data next to the checkout: requests from the tests of the Core Rule Set and of gotestwaf, and the rules."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.shadow.sample_set import arranged
from shieldx.importers.crs_rules import ImportedRule, NotEvaluable, read_crs_rules
from shieldx.importers.go_ftw import import_go_ftw
from shieldx.importers.gotestwaf import import_gotestwaf
from shieldx.importers.imported import Skipped

if TYPE_CHECKING:
    from shieldx.domains.shadow.sample import Sample
    from shieldx.importers.imported import Imported

FOLDER = Path(__file__).parents[2] / "../shared/data"
ABSENT = "the Core Rule Set and gotestwaf's cases are not in ../shared/data next to the checkout"
CRS, GOTESTWAF = "crs/tests", "gotestwaf/testcases"
NO_POSITIVES = "no sample expects it"


class Source(NamedTuple):
    """What was imported from one folder, and what was skipped."""

    name: str
    samples: list[Sample]
    skipped: list[Skipped]

    def in_words(self) -> str:
        """How many samples were imported, and how many were skipped for which reason."""
        labels = Counter(sample.label for sample in self.samples)
        reasons = Counter(each.reason for each in self.skipped)
        why = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        return (
            f"`{self.name}`: {len(self.samples):,} imported, {labels['attack']:,} attack and {labels['benign']:,} "
            f"benign; {len(self.skipped):,} skipped" + (f": {why}." if why else ".")
        )


class RealData(NamedTuple):
    """Samples and rules. `paranoia` is the level from which a rule is active, by rule id."""

    sources: list[Source]
    samples: list[Sample]
    """The samples of all sources, arranged."""
    rules: list[ImportedRule]
    """The evaluable rules."""
    not_evaluable: list[NotEvaluable]
    paranoia: dict[str, int | None]


class _Level(msgspec.Struct):
    id: int
    paranoia: int | None


def is_there() -> bool:
    """Whether the folder exists."""
    return (FOLDER / "crs").is_dir() and (FOLDER / "gotestwaf").is_dir()


def read() -> RealData:
    """Read all data. Rules that no sample expects are not evaluable."""
    sources = [_source(CRS, import_go_ftw(FOLDER / CRS)), _source(GOTESTWAF, import_gotestwaf(FOLDER / GOTESTWAF))]
    samples = arranged(sample for source in sources for sample in source.samples)
    content = (FOLDER / "crs/rules.json").read_bytes()
    expected = {rule_id for sample in samples for rule_id in sample.expected_rules}
    rules, not_evaluable = [], []
    for rule in read_crs_rules(content):
        if isinstance(rule, NotEvaluable):
            not_evaluable.append(rule)
        elif rule.rule_id in expected:
            rules.append(rule)
        else:
            not_evaluable.append(NotEvaluable(rule.rule_id, NO_POSITIVES))
    paranoia = {str(level.id): level.paranoia for level in msgspec.json.decode(content, type=list[_Level])}
    return RealData(sources, samples, rules, not_evaluable, paranoia)


def _source(name: str, found: Imported) -> Source:
    source = Source(name, [], [])
    for each in found:
        if isinstance(each, Skipped):
            source.skipped.append(each)
        else:
            source.samples.append(each)
    return source
