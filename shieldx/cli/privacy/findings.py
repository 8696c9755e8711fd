"""Everything that the platform keeps of a subject, wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.cli.committed_records import committed_consumer, committed_records, partitions_of
from shieldx.cli.moment import rfc3339
from shieldx.cli.rows import rows_of
from shieldx.cli.stdout import say
from shieldx.domains.audit.record import Malformed, decode
from shieldx.domains.audit.tables import APPENDS, LOG
from shieldx.domains.credits.messages import Batch, Consume, Payment, Purchase
from shieldx.domains.credits.tables import COMMANDS, TRANSACTIONS, TransactionRow
from shieldx.domains.privacy.subjects import audited_subject
from shieldx.domains.privacy.tables import ERASURES, KEYS, REQUESTS, ErasureRow, RequestRow, SubjectKeys
from shieldx.engine.tasks.codec import DECODE_ERRORS, Codec, Undecodable
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.messages import Sealed
from shieldx.messages import rfc3339 as rfc3339_of_ms
from shieldx.privacy.sealing import Place
from shieldx.sinks.database import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from shieldx.bootstrap.platform import Platform
    from shieldx.cli.privacy.opening import SubjectOpener
    from shieldx.domains.audit.entry import AuditEntry
    from shieldx.engine.tasks.log import Record

Finding = dict[str, Any]
"""One line of the export; `kind` says of what."""
_MOVEMENTS = """
SELECT transaction_id, key_id, payment, personal, type, amount, at, idempotency_key, description
FROM credits.personal_data JOIN credits.transactions USING (transaction_id)
WHERE personal_data.tenant_id = $1 AND starts_with(key_id, $2) ORDER BY at, transaction_id
"""
_payment = msgspec.json.Decoder(Payment).decode
_sealed = msgspec.json.Decoder(Sealed).decode
_transaction = msgspec.json.Decoder(TransactionRow).decode


class Findings:
    """What is kept of one subject of a tenant. `names` are what entries of the audit log may call the person."""

    def __init__(
        self, platform: Platform, tenant_id: str, subject: str, name: str | None, opener: SubjectOpener
    ) -> None:
        self._platform = platform
        self._tenant_id = tenant_id
        self._subject = subject
        self._names = {audited_subject(subject), *([] if name is None else [name])}
        self._opener = opener
        self._codec = Codec(platform.topics, [COMMANDS])
        self._in_postgres: set[str] = set()

    async def all(self) -> AsyncIterator[Finding]:
        """Everything, by kind."""
        for finders in (self._rows, self._projected, self._movements, self._commands, self._entries):
            async for finding in finders():
                yield finding

    async def _rows(self) -> AsyncIterator[Finding]:
        for keys in await rows_of(self._platform, KEYS, self._tenant_id, SubjectKeys):
            for key in keys.keys if keys.subject == self._subject else ():
                yield {"kind": "data_key", "key": key.key, "created_at": key.created_at}
        for request in await rows_of(self._platform, REQUESTS, self._tenant_id, RequestRow):
            if request.subject == self._subject:
                # Its own `kind` is what was asked for.
                yield {"kind": "request", "request": request}
        for erasure in await rows_of(self._platform, ERASURES, self._tenant_id, ErasureRow):
            if erasure.subject == self._subject:
                yield {"kind": "erasure", "erasure": erasure}

    async def _projected(self) -> AsyncIterator[Finding]:
        """Movements in Postgres, which keeps them longer than Kafka."""
        if not self._platform.knows_postgres:
            return
        (await self._platform.schema.state()).check()
        async with connected(self._platform.postgres_dsn) as connection:
            rows = await connection.fetch(_MOVEMENTS, self._tenant_id, f"{self._subject}.")
        for row in rows:
            self._in_postgres.add(row["transaction_id"])
            yield {
                "kind": "movement",
                "where": "Postgres",
                "transaction_id": row["transaction_id"],
                "type": row["type"],
                "amount": row["amount"],
                "at": rfc3339(row["at"]),
                "description": row["description"],
                **self._opened(
                    row["idempotency_key"],
                    None if row["payment"] is None else _payment(row["payment"]),
                    None if row["personal"] is None else _sealed(row["personal"]),
                ),
            }

    async def _movements(self) -> AsyncIterator[Finding]:
        """Movements that Postgres does not have yet."""
        async for record in self._of_tenant(TRANSACTIONS):
            row = _transaction(record.value or b"")
            if row.tenant_id != self._tenant_id or row.transaction_id in self._in_postgres:
                continue
            payment, personal = row.payment or None, row.personal or None
            if self._owns(payment, personal):
                yield {
                    "kind": "movement",
                    "where": TRANSACTIONS,
                    "transaction_id": row.transaction_id,
                    "type": row.type,
                    "amount": row.amount,
                    "at": rfc3339_of_ms(row.at_ms),
                    "description": row.description,
                    **self._opened(row.idempotency_key, payment, personal),
                }

    async def _commands(self) -> AsyncIterator[Finding]:
        """Commands, which may have been refused."""
        async for record in self._of_tenant(COMMANDS):
            try:
                message = self._codec.decode(COMMANDS, record.value or b"")
            except Undecodable:
                continue
            for command in message.commands if isinstance(message, Batch) else (message,):
                payment = command.payment if isinstance(command, Purchase) else None
                personal = command.personal if isinstance(command, Consume) else None
                if command.tenant_id == self._tenant_id and self._owns(payment, personal):
                    yield {
                        "kind": "command",
                        "where": f"{COMMANDS}/{record.partition}/{record.offset}",
                        "type": command.__struct_config__.tag,
                        "amount": getattr(command, "amount", None),
                        "description": command.description,
                        **self._opened(command.idempotency_key, payment, personal),
                    }

    async def _entries(self) -> AsyncIterator[Finding]:
        """Entries of the audit log, in every shard: the tenant may have had another home."""
        async with committed_consumer(self._platform) as consumer:
            numbers = range(await partitions_of(self._platform, LOG))
            async for record in committed_records(consumer, LOG, numbers):
                try:
                    entry = decode(record.value or b"")
                except Malformed as error:
                    say(
                        f"{LOG}/{record.partition}/{record.offset} is not an entry: {error}. Run `shieldx audit verify`"
                    )
                    continue
                for finding in self._of_entry(entry):
                    yield finding

    def _of_entry(self, entry: AuditEntry) -> Iterator[Finding]:
        if entry.tenant_id != self._tenant_id:
            return
        sealed = _sealed_in(entry.payload)
        owned = sealed is not None and self._opener.owns(sealed.key_id)
        if not owned and self._names.isdisjoint({entry.actor, entry.subject}):
            return
        payload: Any = None
        if entry.payload is not None:
            payload = msgspec.Raw(msgspec.json.format(entry.payload.encode(), indent=-1))
        if sealed is not None and owned:
            payload = self._opener.opened(sealed, Place(self._tenant_id, APPENDS, "payload", entry.idempotency_key))
        yield {
            "kind": "entry",
            "where": f"{LOG} {entry.shard}/{entry.sequence}",
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "subject": entry.subject,
            "outcome": entry.outcome,
            "payload": payload,
        }

    async def _of_tenant(self, topic: str) -> AsyncIterator[Record]:
        """The records in the tenant's partition of a topic."""
        home = home_partition(self._tenant_id, await partitions_of(self._platform, topic))
        async with committed_consumer(self._platform) as consumer:
            async for record in committed_records(consumer, topic, [home]):
                yield record

    def _owns(self, payment: Payment | None, personal: Sealed | None) -> bool:
        sealed = [personal, None if payment is None else payment.reference]
        return any(each is not None and self._opener.owns(each.key_id) for each in sealed)

    def _opened(self, key: str, payment: Payment | None, personal: Sealed | None) -> Finding:
        """The sealed fields of a command, opened."""
        found: Finding = {}
        if payment is not None:
            reference = self._opener.opened(
                payment.reference, Place(self._tenant_id, COMMANDS, "payment.reference", key)
            )
            found["payment"] = {"reference": reference, "brand": payment.brand, "last_four": payment.last_four}
        if personal is not None:
            found["personal"] = self._opener.opened(personal, Place(self._tenant_id, COMMANDS, "personal", key))
        return found


def _sealed_in(payload: str | None) -> Sealed | None:
    try:
        return None if payload is None else _sealed(payload.encode())
    except DECODE_ERRORS:
        return None
