from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from shieldx.engine.declarations.manifests import Topic, load_manifests
from shieldx.engine.topics.schemas import encode, file_name, generate, incompatibilities, write
from shieldx.errors import FixConfiguration

ROOT = Path(__file__).parents[3]


class Old(msgspec.Struct):
    amount: int
    name: Annotated[str, msgspec.Meta(max_length=10)] = ""


class WithMore(msgspec.Struct):
    amount: int | None
    name: Annotated[str, msgspec.Meta(max_length=20)] = ""
    note: str = ""


class WithARequiredField(msgspec.Struct):
    amount: int
    note: str
    name: str = ""


class WithAnotherType(msgspec.Struct):
    amount: str
    name: str = ""


class WithATighterBound(msgspec.Struct):
    amount: int
    name: Annotated[str, msgspec.Meta(max_length=5)] = ""


class Pair(msgspec.Struct):
    place: tuple[int, str]


class Triple(msgspec.Struct):
    place: tuple[int, str, str]


class OtherPair(msgspec.Struct):
    place: tuple[int, int]


def test_the_schemas_in_the_repository_are_those_of_the_types() -> None:
    generated = generate(load_manifests(ROOT / "topics"))
    kept = {path.name: path.read_bytes() for path in (ROOT / "schemas").glob("*.json")}
    assert kept == {file_name(name): encode(schema) for name, schema in generated.items()}, "run `make schemas`"


@pytest.mark.parametrize(
    ("new", "broken"),
    [
        (Old, []),
        (WithMore, []),
        (WithARequiredField, ["$.note became required"]),
        (WithAnotherType, ["$.amount no longer allows integer"]),
        (WithATighterBound, ["$.name: maxLength tightened to 5"]),
    ],
)
def test_a_new_schema_must_allow_what_the_old_one_did(new: type[msgspec.Struct], broken: list[str]) -> None:
    assert list(incompatibilities(msgspec.json.schema(Old), msgspec.json.schema(new))) == broken


@pytest.mark.parametrize(
    ("new", "broken"),
    [
        (Pair, []),
        (Triple, ["$.place became a tuple of 3", "$.place: minItems tightened to 3"]),
        (OtherPair, ["$.place[1] no longer allows string"]),
    ],
)
def test_a_tuple_keeps_its_length_and_its_types(new: type[msgspec.Struct], broken: list[str]) -> None:
    assert sorted(incompatibilities(msgspec.json.schema(Pair), msgspec.json.schema(new))) == broken


def test_an_incompatible_schema_is_not_written(tmp_path: Path) -> None:
    def topic(kind: type) -> dict[str, Topic]:
        path = f"{kind.__module__}:{kind.__name__}"
        return {"t": Topic(about="", key="k", cleanup="delete", messages={"t.m/1": path})}

    assert write(topic(Old), tmp_path) == ["t.m.1.json"]
    assert write(topic(Old), tmp_path) == []
    with pytest.raises(FixConfiguration, match="Give it version 2"):
        write(topic(WithARequiredField), tmp_path)
    assert write(topic(WithMore), tmp_path) == ["t.m.1.json"]
