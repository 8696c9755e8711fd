"""The maskers that the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.errors import FixConfiguration
from shieldx.privacy import EVERY_CATEGORY, Category
from shieldx.privacy.masker import HIDDEN, Masker
from shieldx.privacy.rules import NO_RULES, MaskingRules, rules_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from shieldx.settings import Settings


def masker_of(settings: Settings, categories: Collection[Category] = EVERY_CATEGORY, *, fill: bytes = HIDDEN) -> Masker:
    """A masker of the given categories, and of the rules in SHIELDX_MASKING_RULES_FILE; see `Masker` for `fill`.

    Raises:
        FixConfiguration: the file cannot be read, or a rule in it is wrong.
    """
    path = settings.masking_rules_file
    return Masker(categories=categories, fill=fill, rules=NO_RULES if path is None else read_rules(path))


def read_rules(path: Path) -> MaskingRules:
    """Read a rules file, and check it.

    Raises:
        FixConfiguration: the file cannot be read, or is not a rules file; the message has its line or its rule.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FixConfiguration(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FixConfiguration(f"{path} is not UTF-8") from error
    return rules_of(text, str(path))
