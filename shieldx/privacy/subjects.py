"""Pseudonyms of subjects: what the platform calls a person without learning who it is."""

from __future__ import annotations

import hmac

from shieldx.privacy.binding import bound_to

SUBJECTS = "subjects"
"""The reserved id of the key that makes pseudonyms. It wraps nothing and never changes."""
PSEUDONYM_BYTES = 16
_CONTEXT = b"shieldx.subject/1"


def subject_input(tenant_id: str, subject: str) -> bytes:
    """What the pseudonym is an HMAC of."""
    return bound_to(_CONTEXT, tenant_id, subject)


def pseudonym_of(mac: bytes) -> str:
    """The pseudonym in an HMAC-SHA256 of the input: its first 16 bytes, hexadecimal."""
    return mac[:PSEUDONYM_BYTES].hex()


def pseudonym(subjects_key: bytes, tenant_id: str, subject: str) -> str:
    """The pseudonym of a subject. `subject` is the name by which the tenant knows the person.

    The key never changes. Without it, nobody can tell from a guessed name which pseudonym it has.
    """
    return pseudonym_of(hmac.digest(subjects_key, subject_input(tenant_id, subject), "sha256"))
