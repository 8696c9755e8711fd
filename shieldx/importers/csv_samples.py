"""Samples from a CSV table, with a mapping of its columns."""

from __future__ import annotations

import base64
import binascii
import csv
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from shieldx.domains.shadow.sample import Label, Request, Sample
from shieldx.importers.bounded_lines import MAX_LINE_BYTES, read_lines
from shieldx.importers.header_lines import BLANKS, NotAHeader, lines_of, read_header_lines
from shieldx.importers.imported import FixInput, Imported, Skipped, SkipSample, imported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Field = Literal[
    "label",
    "category",
    "source",  # `traffic.csv#12` (file and line) if neither column nor constant sets it
    "method",
    "uri",
    "protocol",
    "headers",  # lines of `Name: value`
    "body",
    "body_base64",
]
LabelValues = tuple[Annotated[str, msgspec.Meta(min_length=1)], ...]


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the fields of a sample are in a row.

    `columns` maps a field to a column, and `constants` sets a field to the same value in every row. Label and category
    need one of the two. `headers` maps a column to the name of the header whose value it holds. Labels are compared
    without regard to case.
    """

    columns: dict[Field, str]
    constants: dict[Field, str] = {}
    headers: dict[str, str] = {}
    attack: LabelValues = ("attack", "malicious", "anomalous", "true", "yes", "1")
    benign: LabelValues = ("benign", "normal", "legitimate", "valid", "false", "no", "0")
    delimiter: Annotated[str, msgspec.Meta(min_length=1, max_length=1)] = ","


class _Table(msgspec.Struct, frozen=True):
    """A mapping that was checked against a file's header row."""

    file: str
    header: list[str]
    mapping: Mapping
    labels: dict[str, Label]


def import_csv(path: Path, mapping: Mapping) -> Imported:
    """Yield a sample for every row of the file.

    Raises:
        FixInput: The file cannot be read, or the mapping does not fit it.
    """
    return samples_of_csv(read_lines(path), path.name, mapping)


def samples_of_csv(lines: Iterable[bytes | None], file: str, mapping: Mapping) -> Imported:
    """Yield a sample for each row. `None` stands for a line that is too long; `file` is the file's name.

    Raises:
        FixInput: The mapping does not match the header row.
    """
    rows = _rows(lines, mapping.delimiter)
    _, header = next(rows, (1, []))
    table = _checked(file, header, mapping)
    for number, row in rows:
        place = f"{file}#{number}"
        if isinstance(row, SkipSample):
            yield Skipped(place, row.reason, row.detail)
        else:
            yield imported(place, partial(_sample, table, place, row))


class _LineTooLong(Exception):
    """Signals a long line through the csv module; never leaves this module."""


def _rows(lines: Iterable[bytes | None], delimiter: str) -> Iterator[tuple[int, list[str] | SkipSample]]:
    """Rows with the number of their first line, without blank rows."""
    csv.field_size_limit(MAX_LINE_BYTES)  # the module's default is smaller than the longest body
    reader = csv.reader(_texts(lines), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except _LineTooLong:
            yield number, _rest_skipped(f"a line of more than {MAX_LINE_BYTES:,} bytes")
            return
        except csv.Error as error:
            if "field limit" in str(error):
                yield number, _rest_skipped(f"a field of more than {MAX_LINE_BYTES:,} characters; is a quote unclosed?")
                return
            yield number, SkipSample("unreadable", str(error))
        else:
            if row:
                yield number, row


def _rest_skipped(detail: str) -> SkipSample:
    # Nobody can tell where the next row begins, and the middle of a field must not be read as a sample.
    return SkipSample("too large", f"{detail} Nothing after it was read.")


def _texts(lines: Iterable[bytes | None]) -> Iterator[str]:
    for line in lines:
        if line is None:
            raise _LineTooLong
        # Invalid UTF-8 becomes surrogates. The row is skipped when its sample is encoded.
        yield line.decode(errors="surrogateescape")


def _checked(file: str, header: list[str] | SkipSample, mapping: Mapping) -> _Table:
    place = f"{file}, line 1"
    if isinstance(header, SkipSample):
        raise FixInput(f"{place}: {header.detail}; the first row must name the columns")
    if not header:
        raise FixInput(f"{place}: the file is empty; the first row must name the columns")
    names = [name.strip() for name in header]
    for column in (*mapping.columns.values(), *mapping.headers):
        if names.count(column) != 1:
            found = "no column" if column not in names else "more than one column"
            raise FixInput(f"{place}: {found} {column!r}; map one of: {', '.join(sorted(set(names)))}")
    for field in ("label", "category"):
        if field not in {*mapping.columns, *mapping.constants}:
            raise FixInput(f"{place}: no {field}; map a column to it, or set a constant")
    if twice := sorted(mapping.columns.keys() & mapping.constants.keys()):
        raise FixInput(f"{place}: {', '.join(twice)}: set by both a column and a constant; remove one")
    labels: dict[str, Label] = {value.lower(): "benign" for value in mapping.benign}
    if both := sorted(labels.keys() & {value.lower() for value in mapping.attack}):
        raise FixInput(f"{place}: label {', '.join(both)}: means both attack and benign; remove one")
    labels |= {value.lower(): "attack" for value in mapping.attack}
    return _Table(file, names, mapping, labels)


def _sample(table: _Table, place: str, row: list[str]) -> Sample:
    if len(row) != len(table.header):
        raise SkipSample("malformed", f"{len(row)} values, {len(table.header)} columns")
    cells = dict(zip(table.header, row, strict=True))
    mapping = table.mapping
    fields: dict[Field, str] = {
        **mapping.constants,
        **{field: cells[column] for field, column in mapping.columns.items()},
    }
    label = table.labels.get(fields["label"].strip().lower())
    if label is None:
        raise SkipSample("unknown label", f"{_where(table, 'label')}: value is not a label for attack or benign")
    return Sample(
        label=label,
        category=fields["category"].strip(),
        source=fields.get("source", "").strip() or place,
        request=Request(
            method=fields.get("method", "").strip(BLANKS) or "GET",
            uri=fields.get("uri", "").strip(BLANKS) or "/",
            protocol=fields.get("protocol", "").strip(BLANKS) or "HTTP/1.1",
            headers=(*_header_lines(table, fields.get("headers", "")), *_header_cells(cells, mapping)),
            body=_body(table, fields),
        ),
    )


def _header_lines(table: _Table, text: str) -> Iterator[tuple[str, str]]:
    try:
        yield from read_header_lines(lines_of(text))
    except NotAHeader as error:
        raise SkipSample("malformed", f"{_where(table, 'headers')}: a line is not `Name: value`") from error


def _header_cells(cells: dict[str, str], mapping: Mapping) -> Iterator[tuple[str, str]]:
    """The headers that are present: an empty cell means an absent header."""
    return ((name, cells[column]) for column, name in mapping.headers.items() if cells[column])


def _body(table: _Table, fields: dict[Field, str]) -> bytes:
    text, encoded = fields.get("body", ""), fields.get("body_base64", "").strip()
    if text and encoded:
        raise SkipSample("malformed", f"{_where(table, 'body_base64')}: there is also a text body")
    try:
        return base64.b64decode(encoded, validate=True) if encoded else text.encode()
    except (binascii.Error, ValueError) as error:
        if isinstance(error, UnicodeEncodeError):
            raise
        raise SkipSample("malformed", f"{_where(table, 'body_base64')}: not base64") from error


def _where(table: _Table, field: Field) -> str:
    column = table.mapping.columns.get(field)
    return f"constant {field}" if column is None else f"column {column!r}"
