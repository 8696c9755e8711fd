"""Requests as an attacker varies them: real samples in other forms, and with mistakes that servers forgive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shieldx.domains.shadow.sample import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from shieldx.domains.shadow.sample import Sample

Headers = list[tuple[str, str]]

MAX_PAYLOAD = 300
BOUNDARIES = ("xYz", "----WebKitFormBoundary7MA4", "a b", "a'b", "(1)", 'q"q', "é", "0")
CONTENT_TYPES = (
    "application/json",
    "application/vnd.api+json; charset=utf-8",
    "application/jsonp",
    "APPLICATION/JSON",
    "application/x-www-form-urlencoded",
    "application/xml",
    "text/xml; charset=iso-8859-1",
    "application/a+b+xml",
    "multipart/form-data",
    "multipart/mixed; boundary=xYz",
    "text/plain",
    "",
)
SPACES = (" ", "\t", "\x0b", "\x85", "\xa0", "\u2028", "\u3000", "\x1c", "\x00", "\r\n ")
TOKENS = (
    b'"', b"'", b"\\", b'\\"', b"\\u0027", b"\\u00", b"\\x41", b"\\ud83d\\ude00", b"\\ud800", b",", b":", b"{", b"}",
    b"[", b"]", b"{}", b"[]", b"null", b"tru", b"1e5", b"NaN", b"//", b"/*", b"\0", b"\x01", b"\xff", b"\xe2\x80\xa8",
    b"\xc2\xa0", b"\xef\xbb\xbf", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"--", b"--xYz", b"\r\n--xYz\r\n", b"--xYz--",
    b" ",
    b";", b"=", b"&", b"+", b"%", b"%41", b"%u0041", b"%zz", b"<", b">", b"<a>", b"</a>", b"<a b='c'>", b"<a b=c d>",
    b"&lt;", b"&eacute;", b"&nope;", b"&#x41;", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?x", b"?>",
    b'<!DOCTYPE a [<!ENTITY e "f">]>', b"&e;",
)  # fmt: skip
FILE_NAMES = (
    '; filename="%s"', "; filename='%s'", "; filename=%s", "; filename*=utf-8''%s", "; filename*=iso-8859-1'en'%s",
    '; filename*0="a"; filename*1="%s"', '; filename="a"; filename="%s"', '; filename="a"; filename*=utf-8\'\'%s',
    '; FileName="%s"', '; filename ="%s"', '; filename="%s', '; filename=""', "; filename*=%s", "; file=%s",
    '; filename="C:\\d\\%s"', '; filename="a\\"%s"',
)  # fmt: skip
NAMES = (
    '; name="%s"', "; name=%s", "; name='%s'", '; NAME="%s"', '; name="a"; name="%s"', "", "; name*=utf-8''%s"
)  # fmt: skip


def mutated(samples: Sequence[Sample], random: Random) -> Iterator[Request]:
    """Requests without end."""
    while True:
        request = random.choice(samples).request
        payload = _payload(random, random.choice(samples).request)
        form: Callable[..., Request] = random.choice(
            (_as_it_is, _as_form, _as_json, _as_json, _as_multipart, _as_multipart, _as_multipart, _as_xml, _as_cookie)
        )
        request = form(random, request, payload)
        if random.random() < 0.5:
            request = _changed(request, body=_broken(random, request.body))
        if random.random() < 0.2:
            request = _changed(request, uri=_odd_uri(random, request.uri))
        if random.random() < 0.2:
            request = _with_another_content_type(random, request)
        if random.random() < 0.15:
            request = _in_chunks(random, request)
        yield request


def _payload(random: Random, request: Request) -> str:
    texts = [request.uri, request.body.decode("utf-8", "replace"), *(value for _, value in request.headers)]
    text = random.choice([text for text in texts if text] or ["a"])
    start = random.randrange(len(text))
    return text[start : start + random.randint(1, MAX_PAYLOAD)]


def _changed(request: Request, **fields: Any) -> Request:
    kept = {name: getattr(request, name) for name in ("method", "uri", "protocol", "headers", "body")}
    return Request(**(kept | fields))


def _posted(request: Request, body: bytes, content_type: str) -> Request:
    headers = [header for header in request.headers if header[0].lower() not in {"content-type", "content-length"}]
    return _changed(request, method="POST", headers=(*headers, ("Content-Type", content_type)), body=body)


def _as_it_is(_random: Random, request: Request, _payload: str) -> Request:
    return _changed(request, body=request.body[:20_000])


def _as_form(random: Random, request: Request, payload: str) -> Request:
    body = "&".join(f"a{number}={payload[number:]}" for number in range(random.randint(1, 4)))
    return _posted(request, body.encode(), random.choice(CONTENT_TYPES[4:5] * 3 + CONTENT_TYPES))


def _as_json(random: Random, request: Request, payload: str) -> Request:
    indent = random.choice((None, None, 1))
    body = json.dumps(_document(random, payload, 4), ensure_ascii=random.random() < 0.5, indent=indent)
    return _posted(request, body.encode("utf-8", "replace"), random.choice(CONTENT_TYPES[:2] * 3 + CONTENT_TYPES))


def _document(random: Random, payload: str, depth: int) -> Any:
    kind = random.randrange(4 if depth else 2)
    if kind == 0:
        return random.choice((payload, payload[:20], payload[-9:], ""))
    if kind == 1:
        return random.choice((None, True, False, 0, -1.5, 10**20))
    members = [_document(random, payload, depth - 1) for _ in range(random.randint(0, 4))]
    if kind == 2:
        return members
    keys = random.choices(("a", "b", "A", "", "a.b", "0", "array_0", payload[:9]), k=len(members))
    return dict(zip(keys, members, strict=True))


def _as_xml(random: Random, request: Request, payload: str) -> Request:
    text = payload if random.random() < 0.3 else payload.replace("&", "&amp;").replace("<", "&lt;")
    quoted = text.replace('"', "&quot;")
    body = f'<?xml version="1.0"?><r a="{quoted}" b=\'1\'><i>{text}</i> <![CDATA[{payload}]]><j/><!-- {payload} --></r>'
    return _posted(request, body.encode("utf-8", "replace"), random.choice(CONTENT_TYPES[5:8]))


def _as_cookie(random: Random, request: Request, payload: str) -> Request:
    space = random.choice(SPACES)
    value = random.choice(("a={1}; {0}b={1}", "{0}{1}", "={1}; ;;a", "{0}a{0}={0}{1}{0};c", "a={1}")).format(
        space, payload
    )
    return _changed(request, headers=(*request.headers, ("Cookie", value)))


def _as_multipart(random: Random, request: Request, payload: str) -> Request:
    boundary = random.choice(BOUNDARIES[:2] * 4 + BOUNDARIES)
    end = random.choice(("\r\n", "\r\n", "\r\n", "\n"))
    lines = [random.choice(("", "", "preamble" + end))]
    for _ in range(random.randint(1, 3)):
        lines += [f"--{boundary}{random.choice(('', '', '', ' ', ' x'))}{end}", *_headers_of_part(random, payload, end)]
        lines += [end, random.choice((payload, "v", "", f"a{end}--{boundary}x", "a=3D=\r\nb")), end]
    lines.append(f"--{boundary}{random.choice(('--', '--', '--' + end, '-- ', '--x', ''))}")
    return _posted(request, "".join(lines).encode("utf-8", "replace"), _content_type_of(random, boundary))


def _headers_of_part(random: Random, payload: str, end: str) -> Iterator[str]:
    text = payload[: random.randint(1, 12)]
    name = random.choice(NAMES[:1] * 6 + NAMES).replace("%s", text)
    file = random.choice(("",) * 12 + FILE_NAMES).replace("%s", text)
    kind = random.choice(("form-data",) * 8 + ("attachment", "FORM-DATA", "form-data ", "", "form-data" + end))
    header = random.choice(("Content-Disposition",) * 8 + ("content-disposition", "Content-Disposition ", "X"))
    yield f"{header}: {kind}{name}{file}{end}"
    if random.random() < 0.3:
        yield random.choice(
            ("Content-Type: text/plain", "Content-Transfer-Encoding: quoted-printable", "no colon", " folded", "X: a")
        )
        yield random.choice(("", f"{end} folded", f"{end}\tq=1")) + end
    if random.random() < 0.05:
        yield f'Content-Disposition: form-data; name="second"{end}'


def _content_type_of(random: Random, boundary: str) -> str:
    escaped = boundary.replace("\\", "\\\\").replace('"', '\\"')
    half = len(boundary) // 2
    usual = f"multipart/form-data; boundary={boundary}"
    if random.random() < 0.5:
        return usual
    return random.choice(
        (
            usual,
            f'multipart/form-data; boundary="{escaped}"',
            f'multipart/form-data; x-boundary=no; boundary="{escaped}"',
            f'multipart/form-data; x-boundary="{escaped}"',
            f'multipart/form-data; a="; boundary=no"; boundary="{escaped}"',
            'multipart/form-data; boundary="' + "".join(f"\\{letter}" for letter in boundary) + '"',
            f'multipart/form-data; boundary*0="{boundary[:half]}"; boundary*1="{boundary[half:]}"',
            f"multipart/form-data; boundary*=utf-8''{boundary}",
            f"multipart/form-data;\r\n boundary={boundary}",
            f"multipart/form-data; Boundary = {boundary}; charset=utf-8",
            f"multipart/form-data boundary={boundary}",
            f"multipart/form-data; boundary={boundary}, text/plain",
            f"multipart/form-data; boundary=no; boundary={boundary}",
            f"\u3000multipart/form-data; boundary={boundary};",
            f'multipart/form-data; boundary="{boundary}',
            f"multipart/form-data; boundary='{boundary}'",
            "multipart/form-data; boundary=",
        )
    )


def _broken(random: Random, body: bytes) -> bytes:
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(body) + 1)
        end = min(len(body), at + random.choice((0, 0, 0, 1, 5, 50)))
        match random.randrange(5):
            case 0:
                body = body[:at]
            case 1:
                body = body[:at] + body[end:]
            case 2:
                body = body[:end] + body[at:]
            case _:
                body = body[:at] + random.choice(TOKENS) + body[end:]
    return body


def _odd_uri(random: Random, uri: str) -> str:
    at = random.randrange(len(uri) + 1)
    odd = random.choice((*SPACES[:8], "%", "%41", "%zz", "#", "?", ";", "&", "&&=", "+", "\\", "//", "http://h", "é"))
    return random.choice(("", "", "", "http://host:80", "//host", "x:", "*")) + uri[:at] + odd + uri[at:]


def _with_another_content_type(random: Random, request: Request) -> Request:
    headers = list(request.headers)
    headers.insert(random.randrange(len(headers) + 1), ("content-type", random.choice(CONTENT_TYPES)))
    return _changed(request, headers=tuple(headers))


def _in_chunks(random: Random, request: Request) -> Request:
    pieces = []
    body = request.body[:5_000]
    while body:
        size = random.randint(1, 40 + len(body) // 4)
        extension = random.choice(("", "", ";a=b", " ", "0x")) if random.random() < 0.1 else ""
        pieces.append(f"{len(body[:size]):x}{extension}\r\n".encode() + body[:size] + b"\r\n")
        body = body[size:]
    ends = (b"0\r\n\r\n",) * 6 + (b"", b"0\r\nX: trailer\r\n\r\n", b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n", b"zz\r\n")
    joined = b"".join(pieces) + random.choice(ends)
    if random.random() < 0.2:
        joined = _broken(random, joined)
    return _changed(request, headers=(*request.headers, ("Transfer-Encoding", "chunked")), body=joined)
