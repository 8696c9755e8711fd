"""Masks personal data and secrets in requests, so that what rules find in them stays the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from shieldx.privacy.categories import EVERY_CATEGORY, Category

if TYPE_CHECKING:
    from shieldx.domains.shadow.sample import Sample
    from shieldx.privacy.masker import Masker

CATEGORIES = EVERY_CATEGORY - {Category.IP_ADDRESS, Category.USER_AGENT, Category.NAMED}
"""Rules judge by addresses and user agents, and attacks are in parameters that are named as secrets are."""
FILL = b"x"
"""Instead of asterisks, which some rules take for an attack."""


_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "x-api-key", "x-auth-token"})
_CREDENTIAL = re.compile(r"(?=\S*\d)[\w.~+/=-]{12,}")
"""What a credential is made of; an attack in its place has other characters."""
_SESSION = re.compile(r"(?<==)(?=[^;]*\d)[A-Za-z0-9_-]{16,}=*(?=;|$)")
"""The value of a cookie, if it is as long as a session's id and has only the characters of one."""


def masked(sample: Sample, masker: Masker) -> Sample:
    """The sample with what a masker masks in its request target, header values and body."""
    request = sample.request
    hidden = replace(
        request,
        uri=masker.mask(request.uri),
        headers=tuple([(name, _header(name, value, masker)) for name, value in request.headers]),
        body=masker.mask_bytes(request.body),
    )
    return sample if hidden == request else replace(sample, request=hidden)


def _header(name: str, value: str, masker: Masker) -> str:
    """The value of a header. Credentials and sessions are hidden, if they are not an attack."""
    fill = FILL.decode() * 3
    if name.lower() in _CREDENTIALS:
        return masker.mask(_CREDENTIAL.sub(fill, value))
    if name.lower() == "cookie":
        return masker.mask(_SESSION.sub(fill, value))
    return masker.mask(value)
