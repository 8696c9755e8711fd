"""A labelled request in a sample set."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from shieldx.classification import NEITHER, Classification, Nature
from shieldx.messages import Id

MAX_BODY_BYTES = 700_000
"""The longest body. In base64 and with the rest of its sample, it fits into a record of a megabyte."""

RECORDED = Classification(
    Nature.PERSONAL,
    "part of a recorded request",
    "Masked by `shieldx samples import`, but for what rules judge by: addresses, user agents, and parameters by name.",
)
Label = Annotated[Literal["attack", "benign"], NEITHER]
Text = Annotated[str, msgspec.Meta(max_length=65_536), RECORDED]


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An HTTP request as a client sent it. Texts are UTF-8; `body` is any bytes, base64 in JSON."""

    method: Annotated[Text, NEITHER] = "GET"
    uri: Text = "/"
    """The request target as in the request line, not decoded."""
    protocol: Annotated[Text, NEITHER] = "HTTP/1.1"
    headers: tuple[tuple[Text, Text], ...] = ()
    """Names and values in their original order; a name may occur several times."""
    body: Annotated[bytes, RECORDED] = b""


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A request and what is known about it.

    `expected_rules` are the ids of rules that must fire on it, and `unexpected_rules` those that must not, if its
    source says so. `source` tells a person where to find the original: `932100.yaml#3`.
    """

    label: Label
    category: Id
    source: Id
    request: Request
    expected_rules: tuple[Id, ...] = ()
    unexpected_rules: tuple[Id, ...] = ()
