"""Asks the agent `privacy` for data keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from shieldx.domains.privacy.messages import AcquireKey, Code, Result
from shieldx.domains.privacy.tables import KEY_REQUESTS, RESULTS
from shieldx.engine.kafka.request_reply import RequestReply, Topics
from shieldx.errors import FixConfiguration, ShieldXError

if TYPE_CHECKING:
    from collections.abc import Mapping


class SealAgain(ShieldXError):
    """No data key was granted in time, so nothing was sealed.

    Check that the agent `privacy` runs, then seal again.
    """


class UpgradeToAcquire(FixConfiguration):
    """The agent `privacy` cannot read this program's request for a key, or this program cannot read its answer.

    Run the same release here and there.
    """


class FindWhoAcquires(ShieldXError):
    """The subject has as many data keys as it may have, each with all its encryptions granted.

    Find out who acquires so many encryptions; then erase the subject, or seal fewer values for it.
    """


class KeyRequests(RequestReply[AcquireKey, Result]):
    """Requests for keys, and their results."""

    def __init__(self, connection: Mapping[str, Any], *, retry_after_s: float) -> None:
        super().__init__(connection, Topics(KEY_REQUESTS, RESULTS), Result, retry_after_s=retry_after_s)

    @override
    def _schema(self, request: AcquireKey) -> str:
        return "privacy.acquire_key/1"

    @override
    def _answers(self, reply: Result, request: AcquireKey, *, at_home: bool) -> bool:
        if reply.code is Code.UNREADABLE:
            return at_home and reply.tenant_id == request.tenant_id
        return (reply.tenant_id, reply.type, reply.subject) == (request.tenant_id, "acquire_key", request.subject)

    @override
    def _unanswered(self, request: AcquireKey, reason: str) -> SealAgain:
        return SealAgain(
            f"the agent `privacy` granted no key for subject {request.subject} of tenant {request.tenant_id!r} "
            f"{reason}: check that it runs, then seal again"
        )

    @override
    def _too_large(self, request: AcquireKey, error: Exception) -> UpgradeToAcquire:
        return UpgradeToAcquire(
            f"the request for a key of subject {request.subject} does not fit into a record: {error}"
        )
