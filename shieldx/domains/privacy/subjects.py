"""How entries of the audit log name subjects."""

from __future__ import annotations

_PREFIX = "subject/"


def audited_subject(subject: str) -> str:
    """A subject as entries of the audit log name it."""
    return f"{_PREFIX}{subject}"


def subject_of_entry(name: str) -> str:
    """The subject that an entry of the audit log names."""
    return name.removeprefix(_PREFIX)
