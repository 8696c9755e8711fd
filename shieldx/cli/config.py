"""`shieldx config`: prints every setting with its value, default and description."""

from __future__ import annotations

import os
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import click
import msgspec

from shieldx.cli.stdout import as_json, print_json, print_table
from shieldx.settings import MASK, PREFIX, SECRETS, Settings, load_settings


class Setting(NamedTuple):
    """A setting for display."""

    name: str
    value: str | int | None
    default: str | int | None
    allowed: str
    description: str


@click.command()
@as_json
@click.option("--markdown", is_flag=True, help="Print docs/settings.md, which contains no values.")
def command(*, as_json: bool, markdown: bool) -> None:
    """Print every setting. Settings are environment variables; secrets are masked."""
    if markdown:
        click.echo(_markdown(shown(Settings())))
        return
    rows = shown(load_settings(os.environ))
    if as_json:
        for setting in rows:
            print_json(setting._asdict())
    else:
        print_table(Setting._fields, [[None if cell is None else str(cell) for cell in row] for row in rows])


def shown(settings: Settings) -> list[Setting]:
    """The settings for display, in the order of their declaration."""
    hints = get_type_hints(Settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        value = getattr(settings, field.name)
        rows.append(
            Setting(
                PREFIX + field.name.upper(),
                MASK if field.name in SECRETS and value is not None else _plain(value),
                _plain(field.default),
                allowed(hints[field.name]),
                " ".join(meta.description for meta in _metas(hints[field.name]) if meta.description),
            )
        )
    return rows


def allowed(hint: Any) -> str:
    """The values that a type allows, as text: `1 or more`, `json or text`, `path`."""
    if get_origin(hint) is Annotated:
        kind, *metas = get_args(hint)
        return _bounds(metas) or allowed(kind)
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(allowed(part) for part in get_args(hint) if part is not NoneType)
    if get_origin(hint) is Literal:
        return ", ".join(get_args(hint))
    return {int: "number", Path: "path", str: "text"}.get(hint, str(hint))


def _bounds(metas: list[msgspec.Meta]) -> str:
    for meta in metas:
        if meta.ge is not None:
            return f"{meta.ge} or more" if meta.le is None else f"{meta.ge} to {meta.le}"
        if meta.pattern is not None:
            return f"text like `{meta.pattern}`"
    return ""


def _metas(hint: Any) -> list[msgspec.Meta]:
    return list(get_args(hint)[1:]) if get_origin(hint) is Annotated else []


def _plain(value: Any) -> str | int | None:
    return value if value is None or isinstance(value, str | int) else str(value)


def _markdown(rows: list[Setting]) -> str:
    lines = [
        "# Settings",
        "",
        "Written by `shieldx config --markdown` from shieldx/settings.py. Every setting is a variable of the",
        "environment; `shieldx config` prints the values in force.",
        "",
        "| Setting | Default | Allowed | Meaning |",
        "| --- | --- | --- | --- |",
    ]
    for setting in rows:
        default = "" if setting.default is None else f"`{setting.default}`"
        what = setting.allowed.replace("|", "\\|")
        lines.append(f"| `{setting.name}` | {default} | {what} | {setting.description.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)
