"""Signatures of what agents write where others may write too, since Kafka does not say who wrote a record.

A signature is a header with an HMAC by a platform key. It covers everything that a copy could change to say something
else: topic, key, value and `reply-to`. A copy of a signed record says the same again, within the time for which
receivers remember what was said.
"""

from __future__ import annotations

import hmac
import struct
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol

import msgspec

from shieldx.engine.tasks.codec import DECODE_ERRORS
from shieldx.engine.tasks.dead_letter_reasons import EngineReason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from shieldx.engine.declarations.manifests import Topic
    from shieldx.engine.declarations.transactional import TransactionalAgent
    from shieldx.engine.tasks.log import Header, Record
    from shieldx.messages import Source

SIGNATURE = "shieldx-signature"
VERSION = 1
VALID_MS = 12 * 3_600_000
"""How far the time of signing may be from the stream time of the record.

Deduplication windows keep 24 h: a copy that comes later could be executed again. The rest is for clocks that differ.
"""
_FORM = b"shieldx.signature/1"
_MAX_QUOTED = 64
"""Characters of a key's id in a dead letter. Anyone may write any header."""
_encode = msgspec.json.Encoder().encode


class SigningKeys(Protocol):
    """Secrets by key id. `first` is the id of the key that signs; the others only verify."""

    @property
    def first(self) -> str:
        """The id of the key that signs."""

    def __getitem__(self, key_id: str, /) -> bytes:
        """The secret of a key."""

    def __contains__(self, key_id: object, /) -> bool: ...


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The value of the header: who signed when (wall clock of the worker, ms since the epoch), and the MAC in hex."""

    version: int
    agent: str
    key_id: str
    at_ms: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    mac: str


class Doubt(NamedTuple):
    """Why a record is not believed."""

    reason: EngineReason
    detail: str


def signed_outputs(agent: TransactionalAgent, topics: Mapping[str, Topic]) -> frozenset[str]:
    """The topics in which an agent signs what it writes."""
    shared = {name for name in agent.writes if name in topics and topics[name].writers is not None}
    return frozenset(shared | {name for name, topic in topics.items() if agent.name in topic.signed_by})


def needs_keys(agent: TransactionalAgent, topics: Mapping[str, Topic]) -> bool:
    """Whether an agent signs what it writes, or checks signatures of what it reads."""
    checks = any(name in topics and topics[name].signed_by for name in agent.reads)
    return checks or bool(agent.reserved) or bool(signed_outputs(agent, topics))


class Signatures:
    """Signs the outputs of an agent and checks its inputs.

    Outputs are signed in topics that outsiders may write too, and in those whose manifest names the agent as a signer.
    Inputs with signers must be signed by one of them. In other inputs, names that begin with an agent's name and a
    slash must be signed by that agent. Without keys, nothing is signed and no signature is valid.
    """

    def __init__(
        self,
        agent: TransactionalAgent,
        topics: Mapping[str, Topic],
        keys: SigningKeys | None,
        wall_ms: Callable[[], int],
    ) -> None:
        self._agent = agent.name
        self._keys = keys
        self._wall_ms = wall_ms
        self._names = agent.names
        self._reserved = {topic: tuple(f"{owner}/" for owner in owners) for topic, owners in agent.reserved.items()}
        self._signers = {
            name: topics[name].signed_by for name in agent.reads if name in topics and topics[name].signed_by
        }
        self.signs = frozenset() if keys is None else signed_outputs(agent, topics)
        """The topics in which this agent signs what it writes."""

    def sign(self, topic: str, key: bytes, value: bytes, reply_to: str | None = None) -> Header:
        """The header that signs a record of one of the topics in `signs`."""
        if self._keys is None:
            raise ValueError(f"agent {self._agent} has no keys to sign with")
        key_id = self._keys.first
        signature = Signature(version=VERSION, agent=self._agent, key_id=key_id, at_ms=self._wall_ms(), mac="")
        mac = _mac(self._keys[key_id], signature, topic, key, value, reply_to)
        return SIGNATURE, _encode(msgspec.structs.replace(signature, mac=mac))

    def doubt(self, record: Record, message: Any, source: Source) -> Doubt | None:
        """Why a record must not be believed, or None."""
        owners = self._reserved.get(record.topic)
        if owners is not None and self._names is not None:
            names = self._names(message)
            for name in names:
                if name.startswith(owners):
                    return self._doubt_names(names, owners, record, source)
        signers = self._signers.get(record.topic)
        if signers is None:
            return None
        why = self._why_not_by(signers, record, source)
        return None if why is None else Doubt(EngineReason.NOT_SIGNED, why)

    def _doubt_names(self, names: Iterable[str], owners: Iterable[str], record: Record, source: Source) -> Doubt | None:
        """Check that each agent has signed whose names a message uses."""
        for prefix in owners:
            if any(name.startswith(prefix) for name in names):
                owner = prefix[:-1]
                why = self._why_not_by((owner,), record, source)
                if why is not None:
                    detail = f"names that begin with `{prefix}` are reserved for agent {owner}, and {why}"
                    return Doubt(EngineReason.RESERVED_NAME, detail)
        return None

    def _why_not_by(self, agents: Collection[str], record: Record, source: Source) -> str | None:
        """Why a record was not signed by one of the agents; None if it was."""
        try:
            signer = self._signer_of(record, source)
        except _NoValidSignature as error:
            return str(error)
        return None if signer in agents else f"agent {signer} signed it"

    def _signer_of(self, record: Record, source: Source) -> str:
        """The agent that signed a record.

        Raises:
            _NoValidSignature: nobody did, or long ago.
        """
        signature = _signature_in(record.headers)
        if self._keys is None:
            raise _NoValidSignature("this worker has no platform keyring to check its signature with")
        key_id = signature.key_id
        if key_id not in self._keys:
            quoted = key_id[:_MAX_QUOTED]
            raise _NoValidSignature(f"key {quoted!r}, which signed it, is not in this worker's platform keyring")
        said = record.topic, record.key or b"", record.value or b"", source.origin.reply_to
        mac = _mac(self._keys[key_id], signature, *said)
        if not hmac.compare_digest(mac.encode(), signature.mac.encode()):
            raise _NoValidSignature("its signature does not match")
        if abs(source.at_ms - signature.at_ms) > VALID_MS:
            raise _NoValidSignature(f"its signature is {(source.at_ms - signature.at_ms) // 1000} s old by stream time")
        return signature.agent


class _NoValidSignature(Exception):
    """A record has no signature that counts. The message says why, after "and"."""


def _signature_in(headers: Sequence[Header]) -> Signature:
    content = next((content for name, content in reversed(headers) if name == SIGNATURE), None)
    if content is None:
        raise _NoValidSignature("the record has no signature")
    try:
        signature = msgspec.json.decode(content, type=Signature)
    except DECODE_ERRORS:
        raise _NoValidSignature("its signature cannot be read") from None
    if signature.version != VERSION:
        raise _NoValidSignature(f"its signature has version {signature.version}; this release reads {VERSION}")
    return signature


def _mac(key: bytes, signature: Signature, topic: str, at: bytes, value: bytes, reply_to: str | None) -> str:
    """The MAC over the lengths of all parts and the parts; with the lengths first, no two records have the same."""
    parts = (
        signature.agent.encode(),
        signature.key_id.encode(),
        str(signature.at_ms).encode(),
        topic.encode(),
        at,
        value,
        (reply_to or "").encode(),
    )
    lengths = struct.pack(f">{len(parts)}I", *map(len, parts))
    return hmac.digest(key, b"".join((_FORM, lengths, *parts)), "sha256").hex()
