"""Destroyed keys as rows in Postgres, which deletes what they sealed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from shieldx.classification import PSEUDONYM
from shieldx.domains.privacy.tables import ErasureRow
from shieldx.privacy.key_id import DataKeyId

if TYPE_CHECKING:
    from collections.abc import Iterator

ERASED_KEYS_TABLE = "privacy.erased_keys"
ERASED_KEYS_KEY = {"tenant_id": "text", "key_id": "text"}
ERASED_KEYS_COLUMNS = {"erased_at": "timestamptz"}
ERASED_KEYS_OWN = {"key_id": PSEUDONYM}

_erasure = msgspec.json.Decoder(ErasureRow)

Row = tuple[str, tuple[str, str], tuple[datetime]]


def rows(topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None) -> Iterator[Row]:  # noqa: ARG001 - a sink's signature
    """The destroyed keys in one record of `privacy.erasures`.

    Raises:
        ValueError, msgspec.MsgspecError: the record is invalid.
    """
    if value is None:
        raise ValueError("a record without a value: erasures are never deleted")
    row = _erasure.decode(value)
    erased_at = datetime.fromisoformat(row.erased_at)
    for name in row.keys:
        yield ERASED_KEYS_TABLE, (row.tenant_id, DataKeyId(row.tenant_id, row.subject, name).key_id), (erased_at,)
