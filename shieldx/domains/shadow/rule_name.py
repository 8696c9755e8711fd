"""Names of rules as they are stored: masked."""

from __future__ import annotations

from shieldx.domains.shadow.messages import MAX_NAME_LENGTH
from shieldx.privacy import mask


def masked_name(name: str) -> str:
    """The name, masked. A mask may be longer than what it hides, so the name is cut to what a message can hold."""
    return mask(name)[:MAX_NAME_LENGTH]
