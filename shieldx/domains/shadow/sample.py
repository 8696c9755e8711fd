"""A labelled request, as sets of samples hold it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from shieldx.messages import Id

MAX_BODY_BYTES = 700_000
"""The longest body: in base64, with the rest of its sample, it stays within a record of a megabyte."""

Label = Literal["attack", "benign"]
Text = Annotated[str, msgspec.Meta(max_length=65_536)]


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An HTTP request as a client sent it. Texts are UTF-8; `body` is any bytes, base64 in JSON."""

    method: Text = "GET"
    uri: Text = "/"
    """The request target as it stands in the request line: nothing is decoded."""
    protocol: Text = "HTTP/1.1"
    headers: tuple[tuple[Text, Text], ...] = ()
    """Names and values in the order in which they came; a name may come again."""
    body: bytes = b""


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A request and what is known about it.

    `expected_rules` are the ids of rules that must fire on it, `unexpected_rules` of those that must not, where its
    source says so. `source` says where it is from, so that a person finds it again: `932100.yaml#3`.
    """

    label: Label
    category: Id
    source: Id
    request: Request
    expected_rules: tuple[Id, ...] = ()
    unexpected_rules: tuple[Id, ...] = ()
