"""Parts of a multipart body whose headers servers read in different ways."""

from __future__ import annotations

import pytest

from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.sample import Request


def parsed(body: bytes) -> ParsedRequest:
    return ParsedRequest(
        Request(method="POST", headers=(("Content-Type", "multipart/form-data; boundary=xYz"),), body=body)
    )


def part(disposition: bytes, *more: bytes, content: bytes = b"<v>") -> ParsedRequest:
    lines = b"\r\n".join((b"Content-Disposition: " + disposition, *more))
    return parsed(b"--xYz\r\n" + lines + b"\r\n\r\n" + content + b"\r\n--xYz--\r\n")


def values(read: ParsedRequest, target: str) -> list[bytes]:
    return [value for _, value in read.values(target)]


@pytest.mark.parametrize(
    ("disposition", "names"),
    [
        (b"form-data; name=a", [b"a"]),
        (b"form-data;\tNAME = a", [b"a"]),
        (b'form-data; name="unended', [b"unended"]),
        (b'form-data; name="a;b"', [b"a;b"]),
        (b'form-data; name="a\\"b\\\\c"', [b'a"b\\c']),
        (b'form-data; name="C:\\dir"', [b"C:\\dir"]),
        (b"form-data; name*=utf-8''%3Ca", [b"<a"]),
        (b"form-data; nothing", [b""]),
        (b"form-data", [b""]),
        (b"attachment; name=a", [b"a"]),
        # Servers disagree.
        (b"form-data; name='a'", [b"a", b"'a'"]),
        (b'form-data; name="a\\(b"', [b"a\\(b", b"a(b"]),
        (b"form-data; name=a; name=b", [b"a", b"b"]),
        (b"form-data; name=a; name=b; name=c", [b"a", b"c"]),
    ],
)
def test_the_name_of_a_field(disposition: bytes, names: list[bytes]) -> None:
    read = part(disposition)
    assert read.values("body_args") == [(name, b"<v>") for name in names]
    assert read.values("files") == []


@pytest.mark.parametrize(
    ("parameters", "filenames"),
    [
        (b'filename="x.php"', [b"x.php"]),
        (b"filename=x.php", [b"x.php"]),
        (b"filename*=utf-8''x%3C.php", [b"x<.php"]),
        (b"filename*=iso-8859-1'en'x.php", [b"x.php"]),
        (b"filename=\"a.txt\"; filename*=utf-8''x.php", [b"a.txt", b"x.php"]),
        (b'filename="C:\\dir\\x.php"', [b"C:\\dir\\x.php"]),
        (b'filename="x\\"y.php"; size=3', [b'x"y.php']),
    ],
)
def test_a_file_is_no_field(parameters: bytes, filenames: list[bytes]) -> None:
    read = part(b"form-data; name=a; " + parameters)
    assert read.values("files") == [(b"a", name) for name in filenames]
    assert values(read, "file_fields") == [b"a"]
    assert read.values("body_args") == []


@pytest.mark.parametrize(
    ("parameters", "filenames"),
    [
        # To some servers a single quote is a quote, to others it is a character.
        (b"filename='x;y.php'", [b"x;y.php", b"'x"]),
        (b"filename='x y.php'", [b"x y.php", b"'x y.php'"]),
        (b"filename='x\\'y.php'", [b"x'y.php", b"'x\\'y.php'"]),
        # Go gives up at any of these, and takes the part for a field.
        (b"filename=x y.php", [b"x y.php"]),
        (b'filename="x.php', [b"x.php"]),
        (b'filename="a.txt"; filename="x.php"', [b"a.txt", b"x.php"]),
        (b'filename="a.txt" filename=x.php', [b"a.txt", b"x.php"]),
        (b'filename*0="x."; filename*1="php"', [b"x.php"]),
        (b"filename*0='x'", [b"x", b"'x'"]),
        (b"filename*=x.php", [b"x.php"]),
        (b"filename=x.php; =", [b"x.php"]),
        (b"\xc2\xa0filename\xe2\x80\xa8=\xe3\x80\x80x.php", [b"x.php"]),
    ],
)
def test_what_is_a_file_only_to_some_servers_is_a_field_too(parameters: bytes, filenames: list[bytes]) -> None:
    read = part(b"form-data; name=a; " + parameters)
    assert read.values("files") == [(b"a", name) for name in filenames]
    assert read.values("body_args") == [(b"a", b"<v>")]


@pytest.mark.parametrize(
    "parameters", [b"name='a; filename=x; b='", b"name='a; filename=x", b"b='; name='a; filename=x"]
)
def test_a_single_quote_hides_no_filename(parameters: bytes) -> None:
    read = part(b"form-data; " + parameters)
    assert b"x" in values(read, "files")
    assert b"<v>" in values(read, "body_args")


def test_a_single_quoted_filename_that_go_accepts_is_no_field() -> None:
    read = part(b"form-data; name=a; filename='x.php'")
    assert values(read, "files") == [b"x.php", b"'x.php'"]
    assert read.values("body_args") == []


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Content-Disposition : form-data; name=a; filename=x", ([b"a"], [b"x"], [b"<v>"])),
        (b"content-disposition:form-data;name=a;filename=x", ([b"a"], [b"x"], [])),
        (b"Content-Disposition-X: form-data; name=a; filename=x", ([], [], [b"<v>"])),
        (b"X-Content-Disposition: form-data; name=a; filename=x", ([], [], [b"<v>"])),
        (b"Content-Disposition: form-data;\r\n\tname=a;\r\n  filename=x", ([b"a"], [b"x"], [])),
        (b"no colon\r\nContent-Disposition: form-data; name=a; filename=x", ([b"a"], [b"x"], [])),
        (b"Content-Disposition: form-data; name=b\r\nContent-Disposition: form-data; name=a; filename=x",
         ([b"b"], [b"x"], [b"<v>", b"<v>"])),
        (b"Content-Disposition: form-data; name=a\xc2\xa0; filename=x", ([b"a\xc2\xa0"], [b"x"], [b"<v>"])),
    ],
)  # fmt: skip
def test_header_lines_of_a_part(header: bytes, expected: tuple[list[bytes], list[bytes], list[bytes]]) -> None:
    read = parsed(b"--xYz\r\n" + header + b"\r\n\r\n<v>\r\n--xYz--")
    assert tuple(values(read, target) for target in ("file_fields", "files", "body_args")) == expected


def test_headers_keep_every_character_but_line_ends_and_folds() -> None:
    read = part(b"form-data; name=a", b"X: \xe2\x80\xa8b\rc\x85\r\n\t  \xc2\xa0d")
    assert values(read, "multipart_headers")[1] == b"X: \xe2\x80\xa8b\rc\x85 \xc2\xa0d"


def test_an_empty_part_keeps_its_headers() -> None:
    header = b"Content-Disposition: form-data; name=a; filename=x.php"
    for end in (b"\r\n", b"\n"):
        read = parsed(b"--xYz" + end + header + end + end + b"--xYz--")
        assert values(read, "files") == [b"x.php"]
        assert values(read, "multipart_headers") == [header]
        assert read.values("body_args") == []


def test_a_quoted_printable_part_is_read_both_ways() -> None:
    header = b"Content-Transfer-Encoding: Quoted-Printable"
    read = part(b"form-data; name=a", header, content=b"=3Cscript=\r\n>")
    assert read.values("body_args") == [(b"a", b"=3Cscript=\r\n>"), (b"a", b"<script>")]
    assert header in values(read, "multipart_headers")
    assert part(b"form-data; name=a", b"Content-Transfer-Encoding: 8bit", content=b"=3C").values("body_args") == [
        (b"a", b"=3C")
    ]


def test_a_body_that_breaks_off_is_read_to_its_end() -> None:
    whole = b'--xYz\r\nContent-Disposition: form-data; name="a"\r\n\r\n<v>\r\n--xYz--\r\n'
    for end in range(whole.index(b"<v>") + 3, len(whole)):
        name, content = parsed(whole[:end]).values("body_args")[0]
        assert name == b"a"
        assert content.startswith(b"<v>")
    assert values(parsed(whole[: whole.index(b'"a') + 2]), "body_args") == [b'Content-Disposition: form-data; name="a']
