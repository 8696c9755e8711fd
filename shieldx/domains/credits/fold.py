"""The credits fold: decides on commands and expired holds, and answers each command once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.credits import state
from shieldx.domains.credits.answers import outputs_of, outputs_of_expiry, result_of
from shieldx.domains.credits.dead_letters import CreditsReason
from shieldx.domains.credits.ledger import NOTHING, Ledger
from shieldx.domains.credits.messages import Batch, Code, Command, Result, Single, command_digest
from shieldx.domains.credits.outcomes import Balances, Item, Outcome, conflict, digest_of, pack, unpack
from shieldx.domains.credits.tables import State
from shieldx.domains.credits.transactions import position_of
from shieldx.messages import DEAD_LETTERS, DeadLetter, Output
from shieldx.state.deduplication import key_digest

if TYPE_CHECKING:
    from shieldx.messages import Source
    from shieldx.state.partition_state import FoldContext

_encode = msgspec.json.Encoder().encode


class CreditsFold:
    """The ledger of one partition of `credits.commands`."""

    def __init__(self, context: FoldContext) -> None:
        self._partition = context.partition
        self._max_result_bytes = context.max_record_bytes
        """Limits a batch's result, since a record that the broker rejects would stop the partition."""
        self._undo_log = context.undo_log
        self._outcomes = context.table(state.OUTCOMES)
        self._reservations = context.table(state.RESERVATIONS)
        self._ledger = Ledger(
            context.table(state.ACCOUNTS),
            self._reservations,
            context.table(state.TRANSACTIONS),
        )

    def apply(self, command: Command, source: Source) -> list[Output]:
        """Answer one command. Holds that are due by its stream time have already expired."""
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
            letter = DeadLetter.of(source, source.value, CreditsReason.RESULT_TOO_LARGE, "split the batch")
            outputs.append(Output(DEAD_LETTERS, command.tenant_id, letter))
        return outputs

    def refuse_reserved(self, command: Command, source: Source) -> list[Output]:
        """Answer a command that uses a name of an agent's. Nothing is remembered: the name stays free for the agent."""
        figures = self._figures(command.tenant_id)
        outcome = Outcome(Code.RESERVED_NAME, position_of(source.offset, None), source.at_ms, figures)
        result = result_of(command, self._partition, outcome, digest=None, replayed=False)
        return outputs_of(result, command, source)

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:
        """Release up to `limit` due holds. The flag says whether there are more."""
        reservations = self._reservations
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

    def _figures(self, tenant_id: str) -> Balances:
        return self._ledger.accounts.get(tenant_id) or NOTHING

    def _answer_again(self, command: Command, packed: bytes, position: int, at_ms: int) -> Result:
        field = conflict(command, packed)
        if field is None:
            digest = digest_of(packed)
            return result_of(command, self._partition, unpack(packed), digest=digest, replayed=True)
        outcome = Outcome(Code.IDEMPOTENCY_CONFLICT, position, at_ms, self._figures(command.tenant_id))
        digest = command_digest(command)
        return result_of(command, self._partition, outcome, digest=digest, replayed=False, field=field)

    def _single(self, command: Command, digest: bytes, position: int, at_ms: int) -> Result:
        outcome, packed = self._execute(command, digest, position, at_ms)
        return result_of(command, self._partition, outcome, digest=digest_of(packed), replayed=False)

    def _execute(self, command: Command, digest: bytes, position: int, at_ms: int) -> tuple[Outcome, bytes]:
        """Apply a command that is not a batch, and remember its outcome. Returns it also as it is packed."""
        code = self._ledger.execute(command, position, at_ms)
        outcome = Outcome(code, position, at_ms, self._figures(command.tenant_id))
        packed = pack(command, outcome)
        self._outcomes.remember(digest, packed, at_ms)
        return outcome, packed

    def _batch(self, batch: Batch, digest: bytes, source: Source) -> Result:
        position, at_ms = position_of(source.offset, None), source.at_ms
        before = self._figures(batch.tenant_id)
        with self._undo_log.recording():
            code, items = Code.OK, self._run(batch, source)
            if batch.atomic and items[-1].code is not Code.OK:
                self._undo_log.roll_back()
                code, items = Code.BATCH_ABORTED, _aborted(batch, source, items, before)
            outcome = Outcome(code, position, at_ms, self._figures(batch.tenant_id), tuple(items))
            result, packed = self._answer(batch, outcome)
            if len(_encode(result)) > self._max_result_bytes:
                self._undo_log.roll_back()
                result, packed = self._answer(batch, Outcome(Code.RESULT_TOO_LARGE, position, at_ms, before))
        self._outcomes.remember(digest, packed, at_ms)
        return result

    def _answer(self, batch: Batch, outcome: Outcome) -> tuple[Result, bytes]:
        """A batch's first result, and its outcome as it is packed."""
        packed = pack(batch, outcome)
        return result_of(batch, self._partition, outcome, digest=digest_of(packed), replayed=False), packed

    def _run(self, batch: Batch, source: Source) -> list[Item]:
        """Run the commands in order. An atomic batch stops at its first refusal."""
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
            first, packed = self._execute(command, digest, position, at_ms)
            return Item(digest_of(packed), first.code, first.position, first.at_ms, first.figures)
        field = conflict(command, packed)
        if field is None:
            first = unpack(packed)
            return Item(
                digest_of(packed),
                first.code,
                first.position,
                first.at_ms,
                first.figures,
                replayed=True,
                partition=first.partition,
            )
        figures = self._figures(command.tenant_id)
        return Item(command_digest(command), Code.IDEMPOTENCY_CONFLICT, position, at_ms, figures, field=field)


def _aborted(batch: Batch, source: Source, items: list[Item], before: Balances) -> list[Item]:
    """One item per command. The refused one, which is the last, keeps its code; the others are aborted."""
    refused = len(items) - 1
    return [
        msgspec.structs.replace(items[refused], figures=before)
        if index == refused
        else Item(command_digest(command), Code.BATCH_ABORTED, position_of(source.offset, index), source.at_ms, before)
        for index, command in enumerate(batch.commands)
    ]
