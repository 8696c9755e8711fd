"""How sealed values and entries of the audit log name subjects and their keys."""

from __future__ import annotations


def key_id_of(subject: str, key: str) -> str:
    """The `key_id` of what was sealed with a data key of a subject."""
    return f"{subject}.{key}"


def subject_of_key_id(key_id: str) -> str:
    """The subject whose key it is; empty if it is none of a subject's."""
    subject, dot, _ = key_id.partition(".")
    return subject if dot else ""


def audited_subject(subject: str) -> str:
    """A subject as entries of the audit log name it."""
    return f"subject/{subject}"
