"""JSON Schemas of all messages, generated from their Python types, and a check that new ones accept old records."""

from __future__ import annotations

from inspect import cleandoc
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from shieldx.engine.declarations.manifests import Topic

Schema = dict[str, Any]


def generate(topics: Mapping[str, Topic]) -> dict[str, Schema]:
    """The schema of every message that a manifest declares, by schema name (`credits.consume/1`)."""
    return {
        name: {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name} | _schema_of(kind)
        for topic in topics.values()
        for name, kind in topic.types().items()
    }


def _schema_of(kind: type[msgspec.Struct]) -> Schema:
    """A type's schema with dedented docstrings. Python 3.13 dedents them, but 3.11 does not."""
    schema = msgspec.json.schema(kind)
    for definition in schema.get("$defs", {}).values():
        if "description" in definition:
            definition["description"] = cleandoc(definition["description"])
    return schema


def file_name(schema_name: str) -> str:
    """The file name of a schema: `credits.consume/1` is in `credits.consume.1.json`."""
    return schema_name.replace("/", ".") + ".json"


def encode(schema: Schema) -> bytes:
    """A schema as stored: readable, and always with the same bytes."""
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2) + b"\n"


def write(topics: Mapping[str, Topic], folder: Path) -> list[str]:
    """Write every schema into a folder. Returns the names of changed files.

    Raises:
        FixConfiguration: a schema no longer allows what the stored one does and needs a new version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, schema in generate(topics).items():
        path = folder / file_name(name)
        old = msgspec.json.decode(path.read_bytes()) if path.exists() else None
        broken = [] if old is None else list(incompatibilities(old, schema))
        if broken:
            raise FixConfiguration(
                f"{name} would reject what it allowed before: {'; '.join(broken)}. Give it version 2"
            )
        if old is None or path.read_bytes() != encode(schema):
            path.write_bytes(encode(schema))
            changed.append(path.name)
    return changed


def incompatibilities(old: Schema, new: Schema) -> Iterator[str]:
    """Reasons why `new` may reject a message that `old` allows. New readers must read old records."""
    yield from _compare(old, new, old, new, "$", set())


def _compare(
    old: Any, new: Any, old_root: Schema, new_root: Schema, path: str, seen: set[tuple[str, str]]
) -> Iterator[str]:
    pair = (str(old.get("$ref", "")), str(new.get("$ref", "")))
    if pair != ("", "") and pair in seen:
        return
    seen.add(pair)
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    if not new or old == new == {}:
        return
    yield from _compare_bounds(old, new, path)
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{path}.{name} became required"
    for name, before in old.get("properties", {}).items():
        after = new.get("properties", {}).get(name)
        if after is not None:
            yield from _compare(before, after, old_root, new_root, f"{path}.{name}", seen)
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):  # `false` ends a tuple
        yield from _compare(old["items"], new["items"], old_root, new_root, f"{path}[]", seen)
    yield from _compare_tuples(old, new, old_root, new_root, path, seen)


def _compare_tuples(
    old: Any, new: Any, old_root: Schema, new_root: Schema, path: str, seen: set[tuple[str, str]]
) -> Iterator[str]:
    before, after = old.get("prefixItems", []), new.get("prefixItems", [])
    if after and len(before) != len(after):
        yield f"{path} became a tuple of {len(after)}"
    for place, (one, other) in enumerate(zip(before, after, strict=False)):
        yield from _compare(one, other, old_root, new_root, f"{path}[{place}]", seen)


def _compare_bounds(old: Schema, new: Schema, path: str) -> Iterator[str]:
    before, after = _alternatives(old), _alternatives(new)
    if after and not before <= after:
        yield f"{path} no longer allows {', '.join(sorted(before - after))}"
    for bound, tighter in (("minLength", 1), ("minItems", 1), ("minimum", 1), ("maxLength", -1), ("maxItems", -1)):
        if bound in new and (bound not in old or (new[bound] - old[bound]) * tighter > 0):
            yield f"{path}: {bound} tightened to {new[bound]}"
    if new.get("enum") and not set(old.get("enum", ())) <= set(new["enum"]):
        yield f"{path} no longer allows {sorted(set(old.get('enum', ())) - set(new['enum']))}"


def _alternatives(schema: Schema) -> set[str]:
    """The types that a schema allows, by name."""
    if "anyOf" in schema:
        return {str(option.get("$ref", option.get("type"))) for option in schema["anyOf"]}
    return {str(schema["type"])} if "type" in schema else set()


def _resolve(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        target: Schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
        schema = target
    return schema
