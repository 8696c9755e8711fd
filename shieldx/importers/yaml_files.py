"""Test files in YAML: found in a fixed order, and read so that every scalar keeps its text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import yaml

from shieldx.importers.imported import FixInput, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

try:
    from yaml import CSafeLoader as _FastLoader
except ImportError:  # PyYAML was built without libyaml: same results, but six times slower
    from yaml import SafeLoader as _FastLoader  # type: ignore[assignment] # both have the interface of SafeLoader

MAX_FILE_BYTES = 16 * 1024 * 1024
"""The maximum file size: a file is held in memory as a whole, and as objects of several times its size."""
MAX_DEPTH = 50
"""The maximum nesting depth: libyaml recurses, and 100,000 opening brackets crash the process."""

_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
_TAGS = [_NULL, *(f"tag:yaml.org,2002:{name}" for name in ("str", "seq", "map", "binary"))]

# Test runners in Go decode into strings: for `Content-Length: 7` and `version: 1.0` they use the text in the file.
# Merge keys are recognised only to be rejected, since merging aliases of aliases grows exponentially. Other aliases are
# plain references.
_RESOLVERS = {
    first: kept
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    if (kept := [(tag, pattern) for tag, pattern in resolvers if tag in {_MERGE, _NULL}])
}
_CONSTRUCTORS = {tag: yaml.SafeLoader.yaml_constructors[tag] for tag in (*_TAGS, None)}


class TextLoader(_FastLoader):
    """Loads only mappings, sequences, nulls, bytes (`!!binary`) and texts."""

    yaml_implicit_resolvers = _RESOLVERS
    yaml_constructors = _CONSTRUCTORS

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Reject merge keys."""
        _refuse_merge_keys(node)


class GoTextLoader(yaml.SafeLoader):
    r"""Like `TextLoader`, but `\'` in double quotes is an apostrophe, as in Go's yaml.v2 but not in YAML."""

    yaml_implicit_resolvers = _RESOLVERS
    yaml_constructors = _CONSTRUCTORS
    # The scanner reads it from the instance, although the stubs call it final.
    ESCAPE_REPLACEMENTS: ClassVar[dict[str, str]] = {**yaml.SafeLoader.ESCAPE_REPLACEMENTS, "'": "'"}  # type: ignore[misc]

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Reject merge keys."""
        _refuse_merge_keys(node)


def _refuse_merge_keys(node: yaml.MappingNode) -> None:
    for key, _ in node.value:
        if key.tag == _MERGE:
            raise yaml.constructor.ConstructorError(
                None, None, "merge keys are not supported; write the keys out", key.start_mark
            )


def load_yaml(content: bytes, loader: type[TextLoader | GoTextLoader]) -> Any:
    """The file's only document.

    Raises:
        FixInput: It is not YAML, nested deeper than `MAX_DEPTH`, or holds tags or merge keys.
    """
    try:
        _check_depth(content, loader)
        return yaml.load(content, loader)  # noqa: S506 # a restricted SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        raise FixInput(f"{where}{error.problem}") from error
    except yaml.YAMLError as error:
        raise FixInput("not valid YAML text: expected UTF-8 without control characters") from error


def _check_depth(content: bytes, loader: type[TextLoader | GoTextLoader]) -> None:
    depth = 0
    for event in yaml.parse(content, loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            line = 0 if event.start_mark is None else event.start_mark.line + 1
            raise FixInput(f"line {line}: nested deeper than {MAX_DEPTH}")


def read_yaml_files(path: Path) -> Iterator[tuple[Path, bytes | Skipped]]:
    """Yield the file at `path`, or every .yaml and .yml file below that folder, sorted by path.

    Raises:
        FixInput: No such file exists.
    """
    files = (
        [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.suffix in {".yaml", ".yml"})
    )
    if not files:
        raise FixInput(f"{path} is neither a file nor a folder that contains .yaml or .yml files")
    for file in files:
        yield file, _read(file)


def _read(file: Path) -> bytes | Skipped:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return Skipped(file.name, "unreadable", error.strerror or "cannot be read")
    if len(content) > MAX_FILE_BYTES:
        return Skipped(file.name, "too large", f"a file of more than {MAX_FILE_BYTES:,} bytes; split it")
    return content
