"""gotestwaf's placeholders (`internal/payload/placeholder`): the position of an encoded payload in a request.

gotestwaf draws names of parameters, headers and elements and the boundary of a form at random. Here they are derived
from the payload's SHA-256, so that every import yields the same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote_plus

import msgspec

from shieldx.importers.gotestwaf_encoders import js_unicode, path_escape, xml_entity
from shieldx.importers.imported import SkipSample

GRAPHQL_PATH = "/graphql"
"""The first path that gotestwaf tries for GraphQL."""

_NAME_DIGITS = 10  # the length of gotestwaf's five random bytes
_BOUNDARY_DIGITS = 60  # the length of Go's thirty
_PAYLOAD = "{{payload}}"
_SOAP = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
	xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
	<soapenv:Header>
		<ns1:RequestHeader soapenv:actor="http://schemas.xmlsoap.org/soap/actor/next"
			soapenv:mustUnderstand="0" xmlns:ns1="https://www.google.com/apis/ads/publisher/v202002">
		</ns1:RequestHeader>
	</soapenv:Header>
	<soapenv:Body>
		<getAdUnitsByStatement xmlns="https://www.google.com/apis/ads/publisher/v202002">
			<filterStatement>
				<%s>%s</%s>
			</filterStatement>
		</getAdUnitsByStatement>
	</soapenv:Body>
</soapenv:Envelope>"""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A request as a placeholder passes it to Go's client, which parses `target` and completes `headers`."""

    method: str = "GET"
    target: str = "/"
    headers: Mapping[str, str] = {}
    body: str = ""


class Payload(msgspec.Struct, frozen=True):
    """An encoded payload. `digest` is the SHA-256 of the payload before it was encoded, in hexadecimal."""

    encoded: str
    digest: str

    @property
    def name(self) -> str:
        """The replacement for a random name."""
        return self.digest[:_NAME_DIGITS]


Options = Mapping[str, object]


def _graphql(payload: Payload, options: Options) -> Draft:
    method = _option(options, "method")
    if method == "GET":
        return Draft(target=f"{GRAPHQL_PATH}?query={quote_plus(payload.encoded)}")
    if method == "POST":
        return Draft(method="POST", target=GRAPHQL_PATH, body=payload.encoded)
    raise SkipSample("malformed", "GraphQL: the method is neither GET nor POST")


def _grpc(_payload: Payload, _options: Options) -> Draft:
    raise SkipSample("not HTTP/1.1", "gRPC requires HTTP/2")


def _html_multipart_form(payload: Payload, _options: Options) -> Draft:
    boundary = payload.digest[:_BOUNDARY_DIGITS]
    return Draft(
        method="POST",
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        body=f'--{boundary}\r\nContent-Disposition: form-data; name="{payload.name}"\r\n\r\n'
        f"{payload.encoded}\r\n--{boundary}--\r\n",
    )


def _raw_request(payload: Payload, options: Options) -> Draft:
    path = _option(options, "path", "/").removeprefix("/")
    headers = options.get("headers", {})
    if not isinstance(headers, dict):
        raise SkipSample("malformed", "RawRequest: headers is not a mapping")
    return Draft(
        method=_option(options, "method"),
        target="/" + path.replace(_PAYLOAD, path_escape(payload.encoded)),
        headers={name: _option(headers, name).replace(_PAYLOAD, payload.encoded) for name in headers},
        body=_option(options, "body", "").replace(_PAYLOAD, payload.encoded),
    )


def _posted(body: str, content_type: str, **more: str) -> Draft:
    return Draft(method="POST", headers={"Content-Type": content_type, **more}, body=body)


def _json_request(payload: Payload, _options: Options) -> Draft:
    return _posted(f'{{"test": true, "{payload.name}": "{js_unicode(payload.encoded)}"}}', "application/json")


def _soap_body(payload: Payload, _options: Options) -> Draft:
    element = f"ab{payload.name}"
    body = _SOAP % (element, xml_entity(payload.encoded), element)
    return _posted(body, "text/xml", SOAPAction='"http://schemas.xmlsoap.org/soap/actor/next"')


def _option(options: Mapping[str, object], name: str, default: str | None = None) -> str:
    value = options.get(name, default)
    if not isinstance(name, str) or not isinstance(value, str):
        raise SkipSample("malformed", f"{name}: missing from the placeholder's options, or not text")
    return value


PLACEHOLDERS: dict[str, Callable[[Payload, Options], Draft]] = {
    "GraphQL": _graphql,
    "gRPC": _grpc,
    "Header": lambda payload, _: Draft(headers={f"X-{payload.name}": payload.encoded}),
    "HTMLForm": lambda payload, _: _posted(f"{payload.name}={payload.encoded}", "application/x-www-form-urlencoded"),
    "HTMLMultipartForm": _html_multipart_form,
    "JSONBody": lambda payload, _: _posted(payload.encoded, "application/json"),
    "JSONRequest": _json_request,
    "RawRequest": _raw_request,
    "RequestBody": lambda payload, _: Draft(method="POST", body=payload.encoded),
    "SOAPBody": _soap_body,
    "URLParam": lambda payload, _: Draft(target=f"/?{payload.name}={payload.encoded}"),
    "URLPath": lambda payload, _: Draft(target=f"/{payload.encoded}"),
    "UserAgent": lambda payload, _: Draft(headers={"User-Agent": payload.encoded}),
    "XMLBody": lambda payload, _: _posted(payload.encoded, "application/xml"),
}
