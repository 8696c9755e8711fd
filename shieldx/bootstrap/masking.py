"""The maskers that the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.privacy import EVERY_CATEGORY, Category
from shieldx.privacy.masker import Masker
from shieldx.privacy.rules import NO_RULES, read_rules

if TYPE_CHECKING:
    from collections.abc import Collection

    from shieldx.settings import Settings


def masker_of(settings: Settings, categories: Collection[Category] = EVERY_CATEGORY) -> Masker:
    """A masker of the given categories, and of the rules in SHIELDX_MASKING_RULES_FILE.

    Raises:
        FixConfiguration: the file cannot be read, or a rule in it is wrong.
    """
    path = settings.masking_rules_file
    return Masker(categories=categories, rules=NO_RULES if path is None else read_rules(path))
