"""Protection of personal data: masking, sealing, key wrapping, pseudonyms. Pure.

`mask` masks everything that docs/reference/masking.md lists; a `Masker` masks what its categories say.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from shieldx.privacy.cards import card_brand, is_luhn_valid
from shieldx.privacy.categories import EVERY_CATEGORY, WITHOUT_CLIENT, Category

if TYPE_CHECKING:
    from shieldx.privacy.masker import Masker

__all__ = [
    "EVERY_CATEGORY",
    "WITHOUT_CLIENT",
    "Category",
    "card_brand",
    "default_masker",
    "is_luhn_valid",
    "mask",
    "mask_bytes",
]


def mask(text: str) -> str:
    """The text with personal data and secrets masked; everything else stays as it is. It raises no error.

    `mask("4532-1234-5678-9010 for user@email.com")` is `"****-****-****-9010 for us***@email.com"`.
    """
    return default_masker().mask(text)


def mask_bytes(text: bytes) -> bytes:
    """The same for bytes in UTF-8 or another superset of ASCII. Other bytes stay as they are."""
    return default_masker().mask_bytes(text)


@lru_cache(maxsize=1)
def default_masker() -> Masker:
    """The masker of every category. Its patterns are compiled on the first call."""
    from shieldx.privacy.masker import Masker  # noqa: PLC0415 - RE2 is loaded only by those who mask

    return Masker()
