"""Multipart: Coraza reads it with Go's mime/multipart, which stops at the first error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from shieldx.domains.shadow.matching.boundaries import boundaries_of

if TYPE_CHECKING:
    from tests.domains.shadow.coraza.comparison import Case, Item

TARGETS: Final = frozenset({"body_args", "files", "file_fields", "multipart_headers"})
USUAL_DISPOSITION: Final = re.compile(
    rb'content-disposition: form-data; name="[^"\\]*"(?:; filename="[^"\\]*")?', re.IGNORECASE
)
QUOTED_PRINTABLE: Final = re.compile(rb"content-transfer-encoding\s*:\s*quoted-printable", re.IGNORECASE)


def is_multipart(case: Case, item: Item) -> bool:
    return item.target in TARGETS and case.coraza.processor == "MULTIPART"


def has_two_boundaries(case: Case, item: Item) -> bool:
    if not is_multipart(case, item) or item.by != "shieldx":
        return False
    return len(boundaries_of([case.content_types[0].encode()], case.coraza.body)) > 1


def type_is_malformed(case: Case, item: Item) -> bool:
    nothing_is_read = any(error in case.coraza.error for error in (": mime: ", "boundary is empty"))
    return is_multipart(case, item) and nothing_is_read and item.by == "shieldx"


def goes_on(case: Case, item: Item) -> bool:
    if not is_multipart(case, item) or not case.coraza.error:
        return False
    read = case.of_shieldx("body_args", "files", "multipart_headers")
    return item.by == "shieldx" or any(b" ".join(item.value.split()) in b" ".join(each.split()) for each in read)


def header_form_differs(case: Case, item: Item) -> bool:
    if not is_multipart(case, item) or item.target != "multipart_headers":
        return False
    others = case.of_coraza(item.target) if item.by == "shieldx" else case.of_shieldx(item.target)
    return header(item.value) in map(header, others)


def header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip().lower(), b" ".join(value.split())


def names_differ(case: Case, item: Item) -> bool:
    if not is_multipart(case, item) or not odd_dispositions(case):
        return False
    if item.target == "body_args":
        return item.value in (case.of_coraza if item.by == "shieldx" else case.of_shieldx)(item.target)
    if item.target not in {"files", "file_fields"}:
        return False
    return item.by == "shieldx" or any(item.value in line for line in case.of_shieldx("files", "multipart_headers"))


def odd_dispositions(case: Case) -> list[bytes]:
    lines = case.of_shieldx("multipart_headers")
    repeated = "multipart_duplicate_part_header" in case.coraza.flags
    return lines if repeated else [line for line in lines if not USUAL_DISPOSITION.fullmatch(line)]


def file_is_field(case: Case, item: Item) -> bool:
    is_added = is_multipart(case, item) and item.target == "body_args" and item.by == "shieldx"
    return is_added and bool(odd_dispositions(case))


def is_quoted_printable(case: Case, item: Item) -> bool:
    if not is_multipart(case, item) or item.target not in {"multipart_headers", "body_args"}:
        return False
    if not any(QUOTED_PRINTABLE.match(line) for line in case.of_shieldx("multipart_headers")):
        return False
    # Go removes spaces at ends of lines too.
    return item.by == "shieldx" or item.value.split() in [read.split() for read in case.of_shieldx(item.target)]


def is_cut(case: Case, item: Item) -> bool:
    """Go loses a header that is not complete, and an end that might begin a delimiter."""
    if not is_multipart(case, item) or item.target != "body_args":
        return False
    if item.by == "coraza":
        return any(begins_delimiter(case, read[len(item.value) :]) for read in case.of_shieldx(item.target))
    return case.coraza.body.endswith(item.value)


def line_ends_differ(case: Case, item: Item) -> bool:
    """To Go, the line ends of the first delimiter are those of all others."""
    if not is_multipart(case, item):
        return False
    if item.by == "coraza":
        return any(re.match(re.escape(part) + rb"\r?\n--", item.value) for part in case.of_shieldx("body_args"))
    before, after = (re.findall(end, case.coraza.body) for end in (rb"(\r?\n)--", rb"--[^\r\n]*(\r?\n)"))
    return len({*before, *after}) > 1


def begins_delimiter(case: Case, text: bytes) -> bool:
    dashes = text.lstrip(b"\r\n")
    return any(line.startswith(dashes) for line in case.coraza.body.split(b"\n") if line.startswith(b"--"))
