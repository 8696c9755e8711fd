"""Topic manifests: one YAML file per family says what each topic is for and how the broker stores it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import yaml

from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shieldx.classification import Classification

_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "y": 365 * 86_400_000}


DELETE_RETENTION_MS = 24 * 3_600_000
"""How long compaction keeps tombstones, so also the maximum age of a checkpoint. Kafka's default, set explicitly."""


MIN_COMPACTION_LAG = "min.compaction.lag.ms"


Outsiders = Literal["clients", "operators"]


class Topic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One topic. Durations are written `26h`, `7d`, `7y`, or `forever`."""

    about: str
    key: str
    cleanup: Literal["delete", "compact"]
    retention: Annotated[str, msgspec.Meta(pattern=r"^(\d+[smhdy]|forever)$")] = "forever"
    timestamps: Literal["broker", "producer"] = "producer"
    min_compaction_lag: Annotated[str, msgspec.Meta(pattern=r"^\d+[smhdy]$")] | None = None
    """How long compaction keeps every record."""
    max_compaction_lag: Annotated[str, msgspec.Meta(pattern=r"^\d+[smhdy]$")] | None = None
    """After this time compaction removes what a later record or a tombstone has replaced, in full segments."""
    segment: Annotated[str, msgspec.Meta(pattern=r"^\d+[smhdy]$")] | None = None
    accepts_replies: bool = False
    strict: bool = False
    """Whether its messages decide something, so that an agent refuses one that says anything it would leave out: an
    unknown field, a field twice, the schema of a later release. Who sent it is told, if the agent can answer. Results
    and rows, which agents read back, stay tolerant."""
    writers: Outsiders | None = None
    """Who writes it in addition to the agents. Unset: clients, if agents read it and none of them writes it."""
    readers: Outsiders | None = None
    """Who reads it in addition to the agents. Unset: clients, if it contains results that are not only for agents."""
    signed_by: tuple[str, ...] = ()
    """The agents whose records in it are believed, by their signatures; every other record is set aside."""
    messages: dict[str, str] = {}
    """Schema name to `module:Type`."""
    form: str | None = None
    """What values are made of that have no schema: `module:NAME` of a message type, or of a mapping from what is packed
    to its classification."""
    row_lifetime: str | None = None
    """For a compacted topic: until when its rows stay, for people."""

    def config(self) -> dict[str, str]:
        """The topic's settings as the broker names them."""
        config = {
            "cleanup.policy": self.cleanup,
            "message.timestamp.type": "LogAppendTime" if self.timestamps == "broker" else "CreateTime",
            "retention.ms": "-1" if self.retention == "forever" else str(duration_ms(self.retention)),
        }
        if self.cleanup == "compact":
            config["delete.retention.ms"] = str(DELETE_RETENTION_MS)
        if self.min_compaction_lag is not None:
            config[MIN_COMPACTION_LAG] = str(duration_ms(self.min_compaction_lag))
        if self.max_compaction_lag is not None:
            config["max.compaction.lag.ms"] = str(duration_ms(self.max_compaction_lag))
        if self.segment is not None:
            config["segment.ms"] = str(duration_ms(self.segment))
        return config

    def types(self) -> dict[str, type[msgspec.Struct]]:
        """The Python types of the topic's messages by schema name.

        Raises:
            FixConfiguration: a name does not refer to a message type.
        """
        return {schema: _load_type(schema, path) for schema, path in self.messages.items()}

    def loaded_form(self) -> type[msgspec.Struct] | Mapping[str, Classification]:
        """What values without a schema are made of; nothing if the manifest does not say.

        Raises:
            FixConfiguration: `form` names neither a message type nor such a mapping.
        """
        if self.form is None:
            return {}
        found = _load("form", self.form)
        if isinstance(found, dict) or (isinstance(found, type) and issubclass(found, msgspec.Struct)):
            return found
        raise FixConfiguration(f"form {self.form!r} is neither a message type nor a mapping to classifications")


def load_manifests(folder: Path) -> dict[str, Topic]:
    """Every topic that the manifests in a folder declare, by name.

    Raises:
        FixConfiguration: the folder is missing, a file is invalid, or a topic is declared twice.
    """
    if not folder.is_dir():
        raise FixConfiguration(f"no topics folder at {folder}; set SHIELDX_HOME to the folder that holds topics/")
    topics: dict[str, Topic] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            declared = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), dict[str, Topic])
        except (msgspec.ValidationError, yaml.YAMLError) as error:
            raise FixConfiguration(f"{path}: {error}") from error
        for name, topic in declared.items():
            if name in topics:
                raise FixConfiguration(f"{path} declares topic {name!r}, which another manifest already declares")
            if topic.strict and topic.accepts_replies:
                raise FixConfiguration(
                    f"{path}: topic {name!r} is strict and accepts replies; a reply would be answered by a reply"
                )
            topics[name] = topic
    return topics


def duration_ms(text: str) -> int:
    """`26h` in milliseconds."""
    return int(text[:-1]) * _UNITS_MS[text[-1]]


def _load_type(schema: str, path: str) -> type[msgspec.Struct]:
    found = _load(f"schema {schema!r}", path)
    if not (isinstance(found, type) and issubclass(found, msgspec.Struct)):
        raise FixConfiguration(f"schema {schema!r} names {path!r}, which is not a message type")
    return found


def _load(what: str, path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise FixConfiguration(f"{what} names {path!r}, which cannot be imported: {error}") from error
