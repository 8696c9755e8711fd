"""The ids of the platform's data keys: `<subject>.<key>`, the subject's pseudonym and the key's random name."""

from __future__ import annotations

import re
from typing import NamedTuple

KEY_NAME_BYTES = 8
"""Random bytes in the name of a key."""
_KEY_ID = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{16})", re.ASCII)


class DataKeyId(NamedTuple):
    """One data key of the platform."""

    tenant_id: str
    subject: str
    """The subject's pseudonym: 32 hexadecimal digits."""
    key: str
    """The key's name: 16 hexadecimal digits."""

    @property
    def key_id(self) -> str:
        """As sealed values have it."""
        return f"{self.subject}.{self.key}"


def parse_key_id(tenant_id: str, key_id: str) -> DataKeyId | None:
    """The data key that a sealed value of a tenant names; None if a producer chose the id for a key of its own."""
    match = _KEY_ID.fullmatch(key_id)
    return None if match is None else DataKeyId(tenant_id, match[1], match[2])
