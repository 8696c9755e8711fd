"""The privacy fold: grants data keys of subjects, destroys them, and keeps the requests of subjects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shieldx.domains.privacy import state
from shieldx.domains.privacy.answers import appended, result
from shieldx.domains.privacy.data_keys import DataKeys, Refused
from shieldx.domains.privacy.messages import AcquireKey, AnswerRequest, Code, Erase, OpenRequest, Rewrap
from shieldx.domains.privacy.subject_requests import SubjectRequests
from shieldx.messages import rfc3339
from shieldx.privacy import mask

if TYPE_CHECKING:
    from shieldx.domains.privacy.tables import DataKey
    from shieldx.messages import Output, Source
    from shieldx.state.partition_state import FoldContext

Message = AcquireKey | Erase | Rewrap | OpenRequest | AnswerRequest


class PrivacyFold:
    """The subjects of one partition.

    Nothing is remembered of a message beyond its effect, because repeating one is harmless.
    """

    def __init__(self, context: FoldContext) -> None:
        self._keys = DataKeys(context.table(state.KEYS), context.table(state.ERASURES), context.timers)
        self._requests = SubjectRequests(context.table(state.REQUESTS))

    def apply(self, message: Message, source: Source) -> list[Output]:
        """Answer one message."""
        try:
            return self._apply(message, source)
        except Refused as refusal:
            subject = getattr(message, "subject", "")
            return [result(message, source, subject, code=refusal.code, detail=refusal.detail)]

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:
        """Write the rows of up to `limit` subjects again whose keys were destroyed a while ago."""
        return [], self._keys.sweep(at_ms, limit)

    def _apply(self, message: Message, source: Source) -> list[Output]:
        at = rfc3339(source.at_ms)
        match message:
            case AcquireKey():
                key = self._keys.acquire(message, at)
                return [result(message, source, message.subject, granted=message.encryptions, **_named(key))]
            case Rewrap():
                return [result(message, source, message.subject, **_named(self._keys.rewrap(message)))]
            case Erase():
                return self._erase(message, source, at)
            case OpenRequest():
                row = self._requests.open(message)
                about = {"request_id": row.request_id, "kind": row.kind, "due_at": row.due_at}
            case AnswerRequest():
                row = self._requests.answer(message, at)
                about = {"request_id": row.request_id, "kind": row.kind}
        return [
            result(message, source, row.subject),
            appended(message, source, row.subject, Code.OK, about),
        ]

    def _erase(self, erase: Erase, source: Source, at: str) -> list[Output]:
        destroyed = self._keys.destroy(erase, source.at_ms)
        requests = self._requests.answer_erasures(erase, at)
        code = Code.OK if destroyed or erase.keys else Code.NOTHING_TO_ERASE
        about = {"keys": destroyed or erase.keys, "requests": requests, "note": mask(erase.note)}
        return [
            result(erase, source, erase.subject, code=code, destroyed=destroyed, requests=requests),
            appended(erase, source, erase.subject, code, about),
        ]


def _named(key: DataKey) -> dict[str, Any]:
    return {"key": key.key, "kek_id": key.kek_id}
