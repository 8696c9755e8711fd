"""The messages of `credits.commands` and `credits.results`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shieldx.classification import FREE_TEXT, NEITHER, Classification, Nature
from shieldx.messages import ActorId, AnyId, Detail, Digest, Flag, Id, Rfc3339, Sealed, Word
from shieldx.state.deduplication import body_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Code(StrEnum):
    """How a command ended. If several refusals apply, the first one in this list is given.

    One exception: an aborted batch whose result is too large gets `result_too_large`, since it could not be sent.
    `unreadable` is no outcome: nothing was executed or remembered, and the mended command may have the same key.
    """

    OK = "ok"
    UNREADABLE = "unreadable"
    RESERVED_NAME = "reserved_name"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    AMOUNT_NOT_POSITIVE = "amount_not_positive"
    AMOUNT_TOO_LARGE = "amount_too_large"
    TTL_OUT_OF_RANGE = "ttl_out_of_range"
    TENANT_UNKNOWN = "tenant_unknown"
    RESERVATION_EXISTS = "reservation_exists"
    RESERVATION_UNKNOWN = "reservation_unknown"
    RESERVATION_EXPIRED = "reservation_expired"
    RESERVATION_SETTLED = "reservation_settled"
    EXCEEDS_RESERVATION = "exceeds_reservation"
    TRANSACTION_UNKNOWN = "transaction_unknown"
    EXCEEDS_TRANSACTION = "exceeds_transaction"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    BATCH_ABORTED = "batch_aborted"
    RESULT_TOO_LARGE = "result_too_large"


Description = Annotated[str, Meta(max_length=1024), FREE_TEXT]
Credits = Annotated[int, NEITHER]
"""An amount of credits, in the smallest unit."""
CARD = Classification(
    Nature.PERSONAL,
    "brand and last four digits of a card",
    "All that is kept of the number, as PCI DSS allows. In Postgres it goes when the person's data key is erased.",
)


class Payment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What paid for credits. A card's number never gets this far: the reference of whoever took the payment does."""

    reference: Sealed
    brand: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9 ._-]{0,31}$"), CARD]
    """For example `Visa`, as `shieldx.privacy.card_brand` names it."""
    last_four: Annotated[str, Meta(pattern=r"^[0-9]{4}$"), CARD]


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str.lower):
    """The fields of every command.

    `idempotency_key` is scoped by the tenant and remembered for 24 h of stream time; `actor` is named in the audit log.
    Amounts are integers in the smallest unit. No text may contain U+0000, which Postgres does not store.
    """

    tenant_id: Id
    idempotency_key: Id
    actor: ActorId | None = None


class Purchase(Command, frozen=True, kw_only=True):
    """Add credits; the first one creates the tenant."""

    amount: Credits
    description: Description = ""
    payment: Payment | None = None


class Consume(Command, frozen=True, kw_only=True):
    """Spend available credits at once."""

    amount: Credits
    description: Description = ""
    personal: Sealed | None = None
    """Personal data about the use, sealed."""


class Reserve(Command, frozen=True, kw_only=True):
    """Reserve available credits for `ttl_s` seconds of stream time."""

    amount: Credits
    reservation_id: Id
    ttl_s: Annotated[int, NEITHER]
    description: Description = ""


class Commit(Command, frozen=True, kw_only=True):
    """Spend held credits: `amount`, or all that is left. A `final` commit releases the rest of the hold."""

    reservation_id: Id
    amount: Credits | None = None
    final: Flag = True
    description: Description = ""


class Abort(Command, frozen=True, kw_only=True):
    """Release what is left of a hold."""

    reservation_id: Id
    description: Description = ""


class Refund(Command, frozen=True, kw_only=True):
    """Give back `amount`, or all that is left, of a consume or commit of the last 30 days."""

    transaction_id: Id
    amount: Credits | None = None
    description: Description = ""


Single = Purchase | Consume | Reserve | Commit | Abort | Refund


class Batch(Command, frozen=True, kw_only=True):
    """Up to 1,000 commands of one tenant, answered in one result. If `atomic`, all of them are applied or none."""

    commands: Annotated[list[Single], Meta(min_length=1, max_length=1000)]
    atomic: Flag

    def __post_init__(self) -> None:
        """Refuse commands of another tenant, whose home may be elsewhere, and commands with the batch's own key."""
        for index, command in enumerate(self.commands):
            if command.tenant_id != self.tenant_id:
                raise ValueError(f"commands[{index}].tenant_id differs from the batch's tenant_id")
            if command.idempotency_key == self.idempotency_key:
                raise ValueError(f"commands[{index}].idempotency_key is the batch's own")


TAGS: dict[type[Command], str] = {
    kind: str(kind.__struct_config__.tag) for kind in (Purchase, Consume, Reserve, Commit, Abort, Refund, Batch)
}
"""The `type` of each command."""


_encode = msgspec.json.Encoder().encode


def command_digest(command: Command) -> bytes:
    """16 bytes that identify a command by all its fields. Defaults count as not sent."""
    return body_digest(_encode(command))


def names_of(command: Command) -> Sequence[str]:
    """The ids and keys that a command uses, and those of the commands in a batch."""
    kind = type(command)
    if kind in ON_RESERVATIONS:
        return command.idempotency_key, command.reservation_id  # type: ignore[attr-defined] # these types have one
    if isinstance(command, Batch):
        return [command.idempotency_key, *(name for inner in command.commands for name in names_of(inner))]
    return (command.idempotency_key,)


ON_RESERVATIONS = frozenset({Reserve, Commit, Abort})
"""Commands that name a reservation."""


class Balance(msgspec.Struct, frozen=True, gc=False):
    """A tenant's account after a command. `available = balance - reserved_funds`, never negative."""

    balance: Credits
    reserved_funds: Credits
    available: Credits
    total_spent: Credits
    total_purchased: Credits


class Result(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The answer to a command, or the expiry of a hold (`type` is `expire`, without an idempotency key).

    `amount` is the command's, if it has one. `command_digest` identifies the command in hexadecimal: whoever sent it
    recognises its result by this; a `reserved_name` has none, since a copy of an agent's command is not its command.
    `replayed` marks a repeated result. On a conflict, `field` names the field that differs.

    With the code `unreadable`, `detail` says why. Such a result has no balance, and what it has of the command is not
    certain: anybody can send an unreadable command in a tenant's name. It is only for the one who waits for its
    correlation id. Its `tenant_id` is empty and its `type` is `unknown` if they could not be read.
    """

    idempotency_key: AnyId | None
    tenant_id: AnyId
    type: Word
    code: Annotated[Code, NEITHER]
    transaction_id: AnyId
    balance: Balance | UnsetType = UNSET
    at: Rfc3339
    replayed: Flag
    amount: Credits | UnsetType = UNSET
    command_digest: Digest | UnsetType = UNSET
    field: Word | UnsetType = UNSET
    detail: Detail | UnsetType = UNSET
    reservation_id: AnyId | UnsetType = UNSET
    results: list[Result] | UnsetType = UNSET

    @property
    def account(self) -> Balance:
        """The balance of a command that was executed or refused.

        Raises:
            ValueError: The command was unreadable.
        """
        if self.balance is UNSET:
            raise ValueError(f"the result of an unreadable command has no balance: {self.detail}")
        return self.balance

    def operations(self) -> Iterator[tuple[str, str]]:
        """The type and code of this result and of every result in it, for counting."""
        yield self.type, self.code.value
        if self.results is not UNSET:
            for result in self.results:
                yield result.type, result.code.value
