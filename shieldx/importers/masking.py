"""Masks personal data and secrets in requests, so that what rules find in them stays the same."""

from __future__ import annotations

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


def masked(sample: Sample, masker: Masker) -> Sample:
    """The sample with what a masker masks in its request target, header values and body."""
    request = sample.request
    hidden = replace(
        request,
        uri=masker.mask(request.uri),
        headers=tuple([(name, masker.mask(value)) for name, value in request.headers]),
        body=masker.mask_bytes(request.body),
    )
    return sample if hidden == request else replace(sample, request=hidden)
