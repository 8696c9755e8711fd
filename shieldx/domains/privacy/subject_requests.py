"""The requests of subjects, and whether they have been answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from shieldx.domains.privacy.data_keys import Refused
from shieldx.domains.privacy.messages import MOST_ANSWERED, Code, RequestKind
from shieldx.domains.privacy.tables import RequestRow
from shieldx.privacy import mask

if TYPE_CHECKING:
    from shieldx.domains.privacy.messages import AnswerRequest, Erase, OpenRequest
    from shieldx.state.keyed_table import KeyedTable

ERASED = "erased"
"""The answer to a request for erasure that an erasure has answered."""


class SubjectRequests:
    """The requests of the subjects of one partition."""

    def __init__(self, table: KeyedTable[RequestRow]) -> None:
        self._table = table

    def open(self, command: OpenRequest) -> RequestRow:
        """Record a request. The same one again changes nothing.

        Raises:
            Refused: Another request has the id.
        """
        row = RequestRow(
            tenant_id=command.tenant_id,
            request_id=command.request_id,
            subject=command.subject,
            kind=command.kind,
            received_at=command.received_at,
            due_at=command.due_at,
        )
        before = self._table.get(command.tenant_id, command.request_id)
        if before is None:
            self._table.put(row, row.tenant_id, row.request_id)
        elif replace(before, answered_at=None, answer=None) != row:
            raise Refused(Code.REQUEST_EXISTS, "another request has this id: use a new one")
        return row

    def answer(self, command: AnswerRequest, at: str) -> RequestRow:
        """Record the answer to a request.

        Raises:
            Refused: There is no such request, or it has been answered.
        """
        row = self._table.get(command.tenant_id, command.request_id)
        if row is None:
            raise Refused(Code.REQUEST_UNKNOWN, "the tenant has no request of this id")
        if row.answered_at is not None:
            raise Refused(Code.REQUEST_ANSWERED, f"it was answered at {row.answered_at}")
        return self._put_answered(row, mask(command.answer), at)

    def answer_erasures(self, erase: Erase, at: str) -> tuple[str, ...]:
        """Record that an erasure has answered the subject's most urgent requests for it, and return their ids."""
        answered = [
            row
            for row in self._table.rows(erase.tenant_id)
            if row.subject == erase.subject and row.kind is RequestKind.ERASURE and row.answered_at is None
        ]
        answered = sorted(answered, key=lambda row: row.due_at)[:MOST_ANSWERED]
        for row in answered:
            self._put_answered(row, ERASED, at)
        return tuple(sorted(row.request_id for row in answered))

    def _put_answered(self, row: RequestRow, answer: str, at: str) -> RequestRow:
        answered = replace(row, answered_at=at, answer=answer)
        self._table.put(answered, row.tenant_id, row.request_id)
        return answered
