"""Versions of stored forms: which ones this release reads, and which ones it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

FORMAT_LEVEL = 1
"""The newest level of stored forms that this release writes.

A release that adds a field, code or state to a stored form raises it by one, reads the forms of the level before as
well, and writes them until the operator finalises the upgrade (docs/how-to/upgrade.md). Codes, states and types have
numbers that are pinned by hand and never reused.
"""
OLDEST_FORMAT_LEVEL = 1
"""The oldest level that this release reads."""
MOVED = 0x80
"""A bit of a value's version: the value came from another partition, and says from which."""


class UnknownForm(Exception):
    """A stored form has a version that this release cannot read."""

    def __init__(self, form: str, found: int | str, known: Collection[int | str]) -> None:
        versions = ", ".join(sorted(map(str, known)))
        super().__init__(f"{form} has version {found}; this release reads {versions}")
        self.form = form
        self.found = found


def check_version(form: str, found: int, known: Collection[int]) -> None:
    """Refuse a version that this release does not know.

    Raises:
        UnknownForm: the version is not one of `known`.
    """
    if found not in known:
        raise UnknownForm(form, found, known)
