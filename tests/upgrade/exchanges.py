"""Commands of every kind with their first answers, and whether the same command is answered alike later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Body = dict[str, Any]
"""A command or a result as JSON: no release's types may stand between a test and what is in a topic."""
MUCH = 1_000_001
"""More than what the next release lets a tenant consume at once."""
TOO_MUCH = 10**12
"""More than any tenant here has."""
NEXT_LEVEL = 2


class Exchange(NamedTuple):
    """A command and its first answer."""

    command: Body
    answer: Body


class Customer:
    """Sends each kind of command for one tenant, and keeps what was answered."""

    def __init__(self, send: Callable[[Body], Awaitable[Body]], tenant_id: str, step: int, level: int) -> None:
        self._send = send
        self._tenant_id = tenant_id
        self._step = step
        self._level = level
        self.exchanges: list[Exchange] = []
        self.wrong: list[str] = []
        """Answers that are not what the level and the commands before call for."""

    async def work(self) -> None:
        """Send every kind of command."""
        beyond_limit = "spending_limit" if self._level >= NEXT_LEVEL else None
        await self._ask(self._command("purchase", "funds", amount=5_000_000, actor="alice"))
        await self._ask(self._command("consume", "much", amount=MUCH), beyond_limit or "ok")
        await self._ask(self._command("consume", "too-much", amount=TOO_MUCH), beyond_limit or "insufficient_funds")
        await self._categories()
        spent = await self._ask(self._command("consume", "spent", amount=7, description="tokens"))
        other = self._command("consume", "spent", amount=7, description="time")
        await self._ask(other, "idempotency_conflict", "description")
        await self._holds()
        await self._refunds(spent["transaction_id"])
        await self._batches()

    async def _categories(self) -> None:
        """A field that the release before refuses: so does the next one until the upgrade is finalised."""
        finalised = self._level >= NEXT_LEVEL
        chat = self._command("consume", "chat", amount=5, category="chat")
        await self._ask(chat, "ok" if finalised else "unreadable")
        without = self._command("consume", "chat", amount=5)
        await self._ask(without, *(("idempotency_conflict", "category") if finalised else ("ok",)))

    async def _holds(self) -> None:
        step = self._step
        await self._ask(self._command("reserve", "hold", amount=50, reservation_id=f"hold-{step}", ttl_s=3600))
        await self._ask(
            self._command("reserve", "again", amount=1, reservation_id=f"hold-{step}", ttl_s=3600), "reservation_exists"
        )
        await self._ask(self._command("commit", "part", reservation_id=f"hold-{step}", amount=20, final=False))
        await self._ask(self._command("commit", "rest", reservation_id=f"hold-{step}", amount=10))
        await self._ask(self._command("reserve", "dropped", amount=9, reservation_id=f"dropped-{step}", ttl_s=3600))
        await self._ask(self._command("abort", "abort", reservation_id=f"dropped-{step}"))
        await self._ask(self._command("commit", "late", reservation_id=f"dropped-{step}"), "reservation_settled")
        await self._ask(self._command("reserve", "brief", amount=3, reservation_id=f"brief-{step}", ttl_s=1))
        await self._ask(self._command("reserve", "kept", amount=2, reservation_id=f"kept-{step}", ttl_s=86_400))

    async def _refunds(self, transaction_id: str) -> None:
        await self._ask(self._command("refund", "refund", transaction_id=transaction_id, amount=3))
        await self._ask(self._command("refund", "refund-all", transaction_id=transaction_id))
        await self._ask(
            self._command("refund", "refund-more", transaction_id=transaction_id, amount=1), "exceeds_transaction"
        )

    async def _batches(self) -> None:
        hold = f"batched-{self._step}"
        chat = {"category": "chat"} if self._level >= NEXT_LEVEL else {}
        whole = [
            self._command("consume", "first", amount=1, **chat),
            self._command("reserve", "second", amount=2, reservation_id=hold, ttl_s=60),
            self._command("abort", "third", reservation_id=hold),
        ]
        aborted = [self._command("consume", "fourth", amount=1), self._command("consume", "fifth", amount=TOO_MUCH)]
        mixed = [
            self._command("consume", "sixth", amount=1),
            self._command("consume", "seventh", amount=TOO_MUCH),
            self._command("consume", "spent", amount=9),
            self._command("consume", "first", amount=1, **chat),
        ]
        await self._ask(self._command("batch", "whole", commands=whole, atomic=True))
        await self._ask(self._command("batch", "aborted", commands=aborted, atomic=True), "batch_aborted")
        await self._ask(self._command("batch", "mixed", commands=mixed, atomic=False))

    async def earlier_holds(self) -> None:
        """Use what the step before left open, and meet what has expired since."""
        before = self._step - 1
        await self._ask(self._command("commit", "expired", reservation_id=f"brief-{before}"), "reservation_expired")
        await self._ask(self._command("commit", "kept-on", reservation_id=f"kept-{before}", amount=1))

    def _command(self, kind: str, name: str, **fields: Any) -> Body:
        return {"type": kind, "tenant_id": self._tenant_id, "idempotency_key": f"{self._step}/{name}", **fields}

    async def _ask(self, command: Body, code: str = "ok", field: str | None = None) -> Body:
        answer = await self._send(command)
        if (answer["code"], answer.get("field")) != (code, field):
            self.wrong.append(f"{command} was answered {answer}, which should be {code}")
        self.exchanges.append(Exchange(command, answer))
        return answer


async def differences(send: Callable[[Body], Awaitable[Body]], exchange: Exchange) -> list[str]:
    """Send a command again; what is returned names an answer that is not the first one, replayed."""
    command, first = exchange
    if first["code"] == "unreadable":  # it was not executed, and may be once the upgrade is finalised
        return []
    again = await send(command)
    if first["code"] == "idempotency_conflict":  # a conflict is not remembered: it is found again
        same = (again["code"], again["field"], again["replayed"]) == (first["code"], first["field"], False)
    else:
        same = again == first | {"replayed": True}
    return [] if same else [f"{command} was answered {first}, and later {again}"]
