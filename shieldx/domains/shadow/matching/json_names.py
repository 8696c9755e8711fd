"""Names of values in a JSON body, as in ModSecurity 3: `json.user.name`, `json.items.array_0`."""

from __future__ import annotations

import re
from typing import Final

ROOT: Final = b"json"
MEMBER: Final = b"%b.%b"
"""Of a container's name and a key."""
ITEM: Final = b"%b.array_%d"
"""Of a container's name and a place, which counts from 0."""
EMPTY_KEY: Final = b"empty-key"
MAX_PATH_BYTES: Final = 256
"""Maximum size of repeated name prefixes: a long key above many values would produce gigabytes of names."""

_ITEM: Final = re.compile(rb"\.array_[0-9]++\Z")


def is_cut(name: bytes) -> bool:
    """Whether the names of values below this one lack a part of a key."""
    return len(name) > MAX_PATH_BYTES and _ITEM.match(name, MAX_PATH_BYTES) is None
