"""The credits fold: commands and time in, results and audit entries out, each command answered once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.credits.answers import outputs_of, outputs_of_expiry, result_of
from shieldx.domains.credits.changelog import Changelog
from shieldx.domains.credits.journal import Journal
from shieldx.domains.credits.ledger import NOTHING, Ledger
from shieldx.domains.credits.messages import Batch, Code, Command, Result, Single
from shieldx.domains.credits.outcomes import Figures, Item, Outcome, at_ms_of, conflict, pack, unpack
from shieldx.domains.credits.reservations import State
from shieldx.domains.credits.transactions import position_of
from shieldx.messages import DEAD_LETTERS, DeadLetter, Output
from shieldx.state.deduplication import DeduplicationWindow, key_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.messages import Change, Source
    from shieldx.state.store import StateBatch, StateStore

_encode = msgspec.json.Encoder().encode


class CreditsFold:
    """All that one partition of `credits.commands` has led to.

    `max_result_bytes` bounds a batch's result, since a record that the broker refuses would stop the partition. With a
    `store`, memory has what it has not taken yet and what is in use.
    """

    def __init__(self, partition: int, max_result_bytes: int = 1_000_000, store: StateStore | None = None) -> None:
        self._partition = partition
        self._max_result_bytes = max_result_bytes
        self._journal = Journal()
        self._ledger = Ledger(partition, self._journal, store)
        self._outcomes = DeduplicationWindow("outcomes", at_ms_of, store)
        self._changelog = Changelog(partition, self._ledger, self._outcomes)

    @property
    def due_ms(self) -> int | None:
        """The earliest stream time at which a hold may be due, or None."""
        return self._ledger.reservations.due_ms

    @property
    def size_bytes(self) -> int:
        """About how much memory the state takes."""
        return self._outcomes.size_bytes + self._ledger.size_bytes

    def apply(self, command: Command, source: Source) -> list[Output]:
        """Answer one command. Whatever was due by its stream time has been expired before."""
        position, at_ms = position_of(source.offset, None), source.at_ms
        digest = key_digest(command.tenant_id, command.idempotency_key)
        packed = self._outcomes.find(digest)
        if packed is not None:
            result = self._answer_again(command, packed, position, at_ms)
        elif type(command) is Batch:
            result = self._batch(command, digest, source)
        else:
            result = self._single(command, digest, position, at_ms)
        outputs = outputs_of(result, command, source)
        if result.code is Code.RESULT_TOO_LARGE and not result.replayed:
            letter = DeadLetter.of(source, source.value, "result_too_large", "split the batch")
            outputs.append(Output(DEAD_LETTERS, command.tenant_id, letter))
        return outputs

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:
        """Release up to `limit` holds that are due; the flag says that more are."""
        reservations = self._ledger.reservations
        self._outcomes.drop_before(at_ms)
        self._ledger.transactions.prune(at_ms)
        outputs: list[Output] = []
        for _ in range(limit):
            due = reservations.pop_due(at_ms)
            if due is None:
                return outputs, False
            key, hold = due
            if hold.state is State.OPEN:
                figures = self._ledger.expire(key, hold, at_ms)
                outputs += outputs_of_expiry(key, hold, self._partition, figures, at_ms)
            else:
                reservations.put(key, None)
        due_ms = reservations.due_ms
        return outputs, due_ms is not None and due_ms <= at_ms

    def changes(self) -> Iterator[Change]:
        """What changed since the last call: the last value of each key, once."""
        return self._changelog.take()

    def restore(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Take back one record of a table, in the order of its topic."""
        self._changelog.restore(topic, key, value)

    def flush(self, batch: StateBatch) -> None:
        """Give the store what it has not taken yet; nothing may be uncommitted."""
        self._ledger.flush(batch)
        self._outcomes.flush(batch)

    def flushed(self, *, evict: bool) -> None:
        """The store has taken it. With `evict`, memory keeps nothing that the store has."""
        self._ledger.flushed(evict=evict)
        self._outcomes.flushed()

    def _figures(self, tenant_id: str) -> Figures:
        return self._ledger.accounts.get(tenant_id) or NOTHING

    def _answer_again(self, command: Command, packed: bytes, position: int, at_ms: int) -> Result:
        field = conflict(command, packed)
        if field is None:
            return result_of(command, self._partition, unpack(command, packed), replayed=True)
        outcome = Outcome(Code.IDEMPOTENCY_CONFLICT, position, at_ms, self._figures(command.tenant_id))
        return result_of(command, self._partition, outcome, replayed=False, field=field)

    def _single(self, command: Command, digest: bytes, position: int, at_ms: int) -> Result:
        outcome = self._execute(command, digest, position, at_ms)
        return result_of(command, self._partition, outcome, replayed=False)

    def _execute(self, command: Command, digest: bytes, position: int, at_ms: int) -> Outcome:
        """Apply a command that is not a batch, and remember how it ended."""
        code = self._ledger.execute(command, position, at_ms)
        outcome = Outcome(code, position, at_ms, self._figures(command.tenant_id))
        self._outcomes.remember(digest, pack(command, outcome), at_ms)
        if self._journal.active:
            self._journal.note(self._outcomes.forget_last)
        return outcome

    def _batch(self, batch: Batch, digest: bytes, source: Source) -> Result:
        position, at_ms = position_of(source.offset, None), source.at_ms
        before = self._figures(batch.tenant_id)
        with self._journal.recording():
            code, items = Code.OK, self._run(batch, source)
            if batch.atomic and items[-1].code is not Code.OK:
                self._journal.roll_back()
                code, items = Code.BATCH_ABORTED, _aborted(batch, source, items, before)
            outcome = Outcome(code, position, at_ms, self._figures(batch.tenant_id), tuple(items))
            result = result_of(batch, self._partition, outcome, replayed=False)
            if len(_encode(result)) > self._max_result_bytes:
                self._journal.roll_back()
                outcome = Outcome(Code.RESULT_TOO_LARGE, position, at_ms, before)
                result = result_of(batch, self._partition, outcome, replayed=False)
        self._outcomes.remember(digest, pack(batch, outcome), at_ms)
        return result

    def _run(self, batch: Batch, source: Source) -> list[Item]:
        """Run the commands in order; an atomic batch stops behind its first refusal."""
        items: list[Item] = []
        for index, command in enumerate(batch.commands):
            items.append(self._item(command, position_of(source.offset, index), source.at_ms))
            if batch.atomic and items[-1].code is not Code.OK:
                break
        return items

    def _item(self, command: Single, position: int, at_ms: int) -> Item:
        digest = key_digest(command.tenant_id, command.idempotency_key)
        packed = self._outcomes.find(digest)
        if packed is None:
            first = self._execute(command, digest, position, at_ms)
            return Item(first.code, first.position, first.at_ms, first.figures)
        field = conflict(command, packed)
        if field is None:
            first = unpack(command, packed)
            return Item(first.code, first.position, first.at_ms, first.figures, replayed=True)
        return Item(Code.IDEMPOTENCY_CONFLICT, position, at_ms, self._figures(command.tenant_id), field=field)


def _aborted(batch: Batch, source: Source, items: list[Item], before: Figures) -> list[Item]:
    """One item a command: the refused one, which is the last, keeps its code; no other one happened."""
    refused = len(items) - 1
    return [
        msgspec.structs.replace(items[refused], figures=before)
        if index == refused
        else Item(Code.BATCH_ABORTED, position_of(source.offset, index), source.at_ms, before)
        for index in range(len(batch.commands))
    ]
