"""Whether a rule can be run at all. Asked both when rules are put and when they are evaluated."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from shieldx.domains.shadow.matching.matcher import UnusableRule, compile_rule
from shieldx.domains.shadow.rule import RuleConfig

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(RuleConfig).decode


def why_unusable(config: RuleConfig) -> str | None:
    """Why a rule cannot be run, or None if it can. Cached, because compiling may take tens of milliseconds."""
    return _why_unusable(_encode(config))


@lru_cache(maxsize=1024)
def _why_unusable(encoded: bytes) -> str | None:
    try:
        compile_rule(_decode(encoded))
    except UnusableRule as error:
        return str(error)
    return None
