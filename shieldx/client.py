"""A small asynchronous client that sends commands and awaits their results.

async with Client({"bootstrap_servers": "localhost:9092"}) as client:
    result = await client.send(Consume(tenant_id="org-123", idempotency_key="k1", amount=7))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from shieldx.domains.credits.messages import Code, Command, Result
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from shieldx.engine.kafka.request_reply import RequestReply, Topics
from shieldx.errors import CheckConnection, ShieldXError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CheckConnection", "Client", "MakeItSmaller", "SendAgain"]


class SendAgain(ShieldXError):
    """No result arrived in time. It is unknown whether the command was executed.

    Send it again with the same idempotency key: within 24 h this returns its only result.
    """


class MakeItSmaller(ShieldXError):
    """The command is too large for a record; it was not sent.

    Make the command smaller, for example by splitting a batch.
    """


class Client(RequestReply[Command, Result]):
    """Sends commands and matches results to them by correlation id. One client serves many concurrent callers."""

    def __init__(self, connection: Mapping[str, Any], *, retry_after_s: float = 5.0) -> None:
        super().__init__(connection, Topics(COMMANDS, RESULTS), Result, retry_after_s=retry_after_s)

    async def send(self, command: Command, *, timeout_s: float = 30.0) -> Result:
        """Send a command and await its result. Resends the command with the same key until a result arrives.

        A result with the code `unreadable` says that nothing was executed, for example because the command has a field
        of a later release than the ledger's. Its `detail` says why; the mended command may have the same key.

        Raises:
            SendAgain: No result arrived in time; it is unknown whether the command was executed.
            MakeItSmaller: The command is too large for a record.
            CheckConnection: An ACL is missing.
        """
        return await self.ask(command, timeout_s)

    @override
    def _schema(self, request: Command) -> str:
        return f"credits.{type(request).__struct_config__.tag}/1"

    @override
    def _answers(self, reply: Result, request: Command, *, at_home: bool) -> bool:
        """Unreadable commands are answered elsewhere too."""
        same = (reply.tenant_id, reply.idempotency_key) == (request.tenant_id, request.idempotency_key)
        return same and (reply.code is not Code.UNREADABLE or at_home)

    @override
    def _unanswered(self, request: Command, reason: str) -> SendAgain:
        return SendAgain(
            f"no result for idempotency key {request.idempotency_key!r} {reason}; send it again with the same key"
        )

    @override
    def _too_large(self, request: Command, error: Exception) -> MakeItSmaller:
        return MakeItSmaller(f"command {request.idempotency_key!r}: {error}")
