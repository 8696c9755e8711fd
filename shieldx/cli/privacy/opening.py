"""Opens what was sealed for a subject, with the subject's data keys."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.cli.rows import rows_of
from shieldx.cli.stdout import say
from shieldx.domains.privacy.tables import KEYS, SubjectKeys
from shieldx.engine.tasks.codec import DECODE_ERRORS
from shieldx.privacy.key_encryption import WrappedKey
from shieldx.privacy.key_id import DataKeyId, parse_key_id
from shieldx.privacy.sealing import DistrustPayload, SealingKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.bootstrap.platform import Platform
    from shieldx.messages import Sealed
    from shieldx.privacy.key_encryption import KeyEncryption
    from shieldx.privacy.sealing import Place

ERASED = {"erased": True}
DISTRUSTED = {"distrusted": True}


class SubjectOpener:
    """The data keys of one subject."""

    def __init__(self, tenant_id: str, subject: str, keys: Mapping[str, SealingKey]) -> None:
        self._tenant_id = tenant_id
        self._subject = subject
        self._keys = keys

    def owns(self, key_id: str) -> bool:
        """Whether a key is one of the subject's, erased or not."""
        name = parse_key_id(self._tenant_id, key_id)
        return name is not None and name.subject == self._subject

    def opened(self, sealed: Sealed, place: Place) -> Any:
        """The sealed value: JSON as it is, other bytes as base64.

        It is `{"erased": true}` if its key is erased, and `{"distrusted": true}` if it was altered or sealed for
        another place. Anybody can send such a value, and it must not keep a person from the rest.
        """
        key = self._keys.get(sealed.key_id)
        if key is None:
            return ERASED
        try:
            content = key.open(sealed, place)
        except DistrustPayload as error:
            say(str(error))
            return DISTRUSTED
        try:
            msgspec.json.decode(content)
        except DECODE_ERRORS:
            return {"base64": base64.b64encode(content).decode()}
        return msgspec.Raw(msgspec.json.format(content, indent=-1))  # a line of the export is one line


async def subject_opener(platform: Platform, keks: KeyEncryption, tenant_id: str, subject: str) -> SubjectOpener:
    """Read and unwrap the data keys of a subject."""
    keys = {}
    for row in await rows_of(platform, KEYS, tenant_id, SubjectKeys):
        for key in row.keys if row.subject == subject else ():
            name = DataKeyId(tenant_id, subject, key.key)
            data_key = await keks.unwrap(WrappedKey(key.kek_id, key.wrapped), name)
            keys[name.key_id] = SealingKey(data_key, name.key_id)
    return SubjectOpener(tenant_id, subject, keys)
