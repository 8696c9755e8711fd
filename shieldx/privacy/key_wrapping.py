"""Wraps data keys with a key-encryption key that this process has (AES key wrap, RFC 3394).

The wrapping is deterministic and needs no nonce, so the number of keys that a key-encryption key wraps is not limited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from shieldx.privacy.binding import bound_to
from shieldx.privacy.key_encryption import DistrustWrappedKey, UpgradeToReadKey

if TYPE_CHECKING:
    from shieldx.privacy.key_id import DataKeyId

LOCAL_FORM = 1
"""AES key wrap with a key derived from the key-encryption key: 40 bytes after the version."""
TRANSIT_FORM = 2
"""A ciphertext of Vault's transit engine."""
_CONTEXT = b"shieldx.kek/1"
_FORMS = {LOCAL_FORM: "a key of a keyring", TRANSIT_FORM: "Vault's transit engine"}


def wrap(data_key: bytes, kek: bytes, name: DataKeyId) -> bytes:
    """Wrap a data key. The key that wraps is derived for this one data key, which binds the result to its name."""
    return with_form(LOCAL_FORM, aes_key_wrap(_derived(kek, name), data_key))


def unwrap(wrapped: bytes, kek: bytes, name: DataKeyId) -> bytes:
    """The data key.

    Raises:
        DistrustWrappedKey: It was altered, is not the key of that name, or another key-encryption key wraps it.
        UpgradeToReadKey: It has a form of a later release.
    """
    content = content_of(wrapped, LOCAL_FORM, name)
    try:
        return aes_key_unwrap(_derived(kek, name), content)
    except InvalidUnwrap:
        raise distrusted(name) from None


def with_form(form: int, content: bytes) -> bytes:
    """A wrapped key: the version of its form, and its content."""
    return bytes([form]) + content


def content_of(wrapped: bytes, form: int, name: DataKeyId) -> bytes:
    """The content of a wrapped key of a form.

    Raises:
        DistrustWrappedKey: It is empty or has another form that this release knows.
        UpgradeToReadKey: It has a form of a later release.
    """
    if wrapped[:1] == bytes([form]):
        return wrapped[1:]
    if not wrapped or wrapped[0] in _FORMS:
        raise distrusted(name)
    raise UpgradeToReadKey(
        f"the wrapping of data key {name.key_id} has form {wrapped[0]}; this release reads "
        f"{', '.join(f'{number} ({about})' for number, about in _FORMS.items())}"
    )


def distrusted(name: DataKeyId) -> DistrustWrappedKey:
    """The error for a wrapped key that is not what its name says."""
    return DistrustWrappedKey(
        f"the wrapping of data key {name.key_id} of tenant {name.tenant_id!r} was altered, or belongs to another key"
    )


def wrapping_context(name: DataKeyId) -> bytes:
    """What the wrapping of a data key is bound to."""
    return bound_to(_CONTEXT, *name)


def _derived(kek: bytes, name: DataKeyId) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=wrapping_context(name)).derive(kek)
