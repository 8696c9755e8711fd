"""What the fields of messages are: personal, secret, or neither, and how they are protected.

A classification is part of a field's type or of an alias for it: `Annotated[str, FREE_TEXT]`. Decoders and schemas
ignore it. The page docs/reference/privacy.md is generated from it, and a test fails for a field without one.

A field is classified by what it says by itself: next to a person's pseudonym, a whole record is about that person.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Nature(StrEnum):
    """What a field is."""

    PERSONAL = "personal"
    """It says something about a person, or names one, if only by a pseudonym."""
    SECRET = "secret"  # noqa: S105 - no password
    """Whoever has it can read or do what others cannot."""
    NEITHER = "neither"


class Classification(NamedTuple):
    """The nature of a field. A personal or secret one also says what it is and how it is protected."""

    nature: Nature
    what: str = ""
    protection: str = ""


NEITHER = Classification(Nature.NEITHER)
PSEUDONYM = Classification(
    Nature.PERSONAL,
    "pseudonym of a person",
    "A keyed digest: it leads to the person only together with the key and the tenant's own name for the person.",
)
ACTING = Classification(
    Nature.PERSONAL,
    "id of who acted",
    "By contract an id, never a name. Whoever sent it knows whose it is.",
)
ACTED_ON = Classification(
    Nature.PERSONAL,
    "id of what was acted on, which may be a person",
    "An id or a pseudonym by contract, never a name.",
)
FREE_TEXT = Classification(
    Nature.PERSONAL,
    "free text",
    "Must not be personal, by contract. Where it is copied to, tables, Postgres and dead letters, it is masked.",
)
PAYLOAD = Classification(
    Nature.PERSONAL,
    "payload of an entry, any JSON",
    "A personal payload must be sealed: one that is marked as personal and is not sealed is set aside.",
)
MASKED = Classification(
    Nature.PERSONAL,
    "value of a record that was set aside, masked",
    "Cards, addresses, tokens and other secrets are masked; what no rule knows stays.",
)
CIPHERTEXT = Classification(
    Nature.PERSONAL,
    "personal data, sealed",
    "AES-256-GCM with a data key of the person. Erasing the key makes every copy unreadable.",
)
