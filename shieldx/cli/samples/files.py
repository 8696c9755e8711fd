"""The files that a set is created from: command options for them, and the importers' results."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from shieldx.importers.csv_samples import Field, Mapping, import_csv
from shieldx.importers.go_ftw import import_go_ftw
from shieldx.importers.gotestwaf import import_gotestwaf
from shieldx.importers.imported import Skipped
from shieldx.importers.ndjson_samples import import_ndjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shieldx.domains.shadow.sample import Sample
    from shieldx.importers.imported import Imported

FIELDS = Field.__args__  # type: ignore[attr-defined] # of a Literal: its values


class Files(NamedTuple):
    """Files and folders by format, and the CSV columns of a sample's fields."""

    go_ftw: tuple[Path, ...] = ()
    gotestwaf: tuple[Path, ...] = ()
    csv: tuple[Path, ...] = ()
    ndjson: tuple[Path, ...] = ()
    csv_column: tuple[str, ...] = ()
    csv_constant: tuple[str, ...] = ()
    csv_header: tuple[str, ...] = ()
    csv_attack: tuple[str, ...] = ()
    csv_benign: tuple[str, ...] = ()
    csv_delimiter: str = ","


class Found(NamedTuple):
    """The importers' results."""

    samples: list[Sample]
    skipped: list[Skipped]

    def in_words(self) -> Iterator[str]:
        """Lines that say how many samples were imported, and how many were skipped for which reason."""
        labels = Counter(sample.label for sample in self.samples)
        yield f"imported {len(self.samples):,}: {labels['attack']:,} attack, {labels['benign']:,} benign"
        if self.skipped:
            reasons = Counter(each.reason for each in self.skipped).most_common()
            yield f"skipped {len(self.skipped):,}: " + ", ".join(f"{count:,} {reason}" for reason, count in reasons)


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets their values as the fields of `Files`."""
    folder, file = click.Path(exists=True, path_type=Path), click.Path(exists=True, dir_okay=False, path_type=Path)
    for option in reversed(
        [
            click.option(
                "--go-ftw",
                type=folder,
                multiple=True,
                metavar="PATH",
                help="Tests in go-ftw's format, as in the OWASP CRS.",
            ),
            click.option("--gotestwaf", type=folder, multiple=True, metavar="PATH", help="Test cases of gotestwaf."),
            click.option("--ndjson", type=file, multiple=True, metavar="FILE", help="Samples in JSON, one per line."),
            click.option("--csv", type=file, multiple=True, metavar="FILE", help="A CSV file with a header row."),
            click.option(
                "--csv-column",
                multiple=True,
                metavar="FIELD=COLUMN",
                help=f"The column of a field: {', '.join(FIELDS)}.",
            ),
            click.option(
                "--csv-constant", multiple=True, metavar="FIELD=VALUE", help="The value of a field in every row."
            ),
            click.option(
                "--csv-header", multiple=True, metavar="NAME=COLUMN", help="The column with a header's values."
            ),
            click.option("--csv-attack", multiple=True, metavar="VALUE", help="A value of `label` that means attack."),
            click.option("--csv-benign", multiple=True, metavar="VALUE", help="A value of `label` that means benign."),
            click.option("--csv-delimiter", default=",", metavar="C", help="The column separator. Default: a comma."),
        ]
    ):
        command = option(command)
    return command


def read_files(files: Files) -> Found:
    """Read all samples in the files, and collect what was skipped.

    Raises:
        FixInput: A file cannot be read, or the mapping does not fit it.
        click.UsageError: There are no files, or the mapping is invalid.
    """
    found = Found([], [])
    for each in _imported(files):
        if isinstance(each, Skipped):
            found.skipped.append(each)
        else:
            found.samples.append(each)
    return found


def _imported(files: Files) -> Imported:
    if not (files.go_ftw or files.gotestwaf or files.csv or files.ndjson):
        raise click.UsageError("no files: use --go-ftw, --gotestwaf, --ndjson or --csv; each can be repeated")
    for path in files.go_ftw:
        yield from import_go_ftw(path)
    for path in files.gotestwaf:
        yield from import_gotestwaf(path)
    for path in files.ndjson:
        yield from import_ndjson(path)
    if files.csv:
        mapping = mapping_of(files)
        for path in files.csv:
            yield from import_csv(path, mapping)


def mapping_of(files: Files) -> Mapping:
    """The CSV mapping from the options.

    Raises:
        click.UsageError: The mapping is invalid.
    """
    labels = {"attack": files.csv_attack, "benign": files.csv_benign}
    given = {
        "columns": _pairs("--csv-column", files.csv_column),
        "constants": _pairs("--csv-constant", files.csv_constant),
        "headers": {column: name for name, column in _pairs("--csv-header", files.csv_header).items()},
        "delimiter": files.csv_delimiter,
    } | {label: values for label, values in labels.items() if values}
    try:
        return msgspec.convert(given, Mapping)
    except msgspec.ValidationError as error:
        raise click.UsageError(f"invalid CSV mapping: {error}. Fields are {', '.join(FIELDS)}") from error


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    """Parse `name=value` pairs. A name without a value is its own value."""
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name in pairs:
            raise click.UsageError(f"{option} sets {name} twice")
        pairs[name] = value if equals else name
    return pairs
