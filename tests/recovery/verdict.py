"""Whether the topics hold what the sequential model says, byte by byte and in order."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.credits import tables
from shieldx.domains.credits.messages import Code, Result
from shieldx.domains.credits.tables import AccountRow, ReservationRow, TransactionRow
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.messages import DEAD_LETTERS, DeadLetter
from tests import projections
from tests.recovery.reading import Tail, read_topic, unreadable
from tests.recovery.sequential_model import REPLIES, SequentialModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aiokafka import ConsumerRecord

SHOWN = 3
_TOPICS = (
    tables.COMMANDS,
    tables.RESULTS,
    tables.AUDIT,
    tables.ACCOUNTS,
    tables.RESERVATIONS,
    tables.TRANSACTIONS,
    tables.OUTCOMES,
    REPLIES,
    DEAD_LETTERS,
)
_decode_result = msgspec.json.Decoder(Result).decode
_decode_letter = msgspec.json.Decoder(DeadLetter).decode


@dataclass
class Verdict:
    """What was found: figures to print, and everything that is wrong."""

    results: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Judge:
    """Follows the commands, then reads everything back and compares."""

    def __init__(self, bootstrap: str, group: str, partitions: int) -> None:
        self._bootstrap = bootstrap
        self._partitions = partitions
        self._tail = Tail(bootstrap, group, (tables.COMMANDS,), partitions)
        self._models = [SequentialModel(number) for number in range(partitions)]
        self._verdict = Verdict()
        self._shown = 0

    async def settle(self, timeout_s: float) -> None:
        """Wait until every command is committed and every hold has expired. A stall counts as wrong."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._tail.until(self._quiet, lambda record: self._models[record.partition].feed(record))
        except TimeoutError:
            open_holds = [model.partition for model in self._models if model.ledger.has_open_holds]
            self._wrong(f"not settled after {timeout_s:.0f} s; partitions with open holds: {open_holds}")

    async def judge(self, keys: set[tuple[str, str]]) -> Verdict:
        """Compare everything. `keys` are tenant and idempotency key of each command that clients sent."""
        for place in await unreadable(self._bootstrap, _TOPICS, self._partitions):
            self._wrong(f"a transaction is open: {place}")
        results = await self._compare(tables.RESULTS, _without_reason)
        self._count(results)
        self._check_figures(results)
        self._check_keys(results, keys)
        await self._compare(tables.AUDIT)
        await self._compare(REPLIES)
        letters = await self._compare(DEAD_LETTERS, _without_texts, of_ledger=_is_of_a_command)
        self._verdict.dead_letters.update(_decode_letter(r.value).reason for records in letters for r in records)
        await self._check_tables()
        self._check_forwarded()
        self._verdict.records["ticks"] = sum(model.ticks for model in self._models)
        return self._verdict

    async def compare_projections(self, dsn: str, timeout_s: float) -> None:
        """Postgres must come to hold what the topics hold."""
        connection = {"bootstrap_servers": self._bootstrap}
        try:
            await projections.caught_up(connection, dsn, partitions=self._partitions, timeout_s=timeout_s)
        except TimeoutError:
            self._wrong(f"the sink is not at the end of its topics after {timeout_s:.0f} s")
        self._verdict.wrong += await projections.differences(connection, dsn, partitions=self._partitions)

    def _quiet(self) -> bool:
        return not any(model.ledger.has_open_holds for model in self._models)

    def _wrong(self, what: str) -> None:
        self._verdict.wrong.append(what)

    # Topics

    async def _compare(
        self,
        topic: str,
        told: Callable[[bytes], bytes] = lambda value: value,
        of_ledger: Callable[[ConsumerRecord], bool] = lambda _: True,
    ) -> list[list[ConsumerRecord]]:
        """Each partition of a topic must hold of the ledger exactly what the model wrote, in its order."""
        everything = await read_topic(self._bootstrap, topic, self._partitions)
        actual = [list(filter(of_ledger, records)) for records in everything]
        for model, records in zip(self._models, actual, strict=True):
            expected = model.written[topic]
            self._verdict.records[topic] += len(records)
            values = [told(record.value) for record in records]
            if values != [value for value, _ in expected]:
                self._wrong(_summary(f"{topic}/{model.partition}", [value for value, _ in expected], values))
                if self._shown < SHOWN:
                    self._shown += 1
                    self._wrong(_first_difference(expected, records, values))
        return actual

    def _count(self, results: list[list[ConsumerRecord]]) -> None:
        for records in results:
            for record in records:
                result = _decode_result(record.value)
                self._verdict.results[f"{result.code} (replayed)" if result.replayed else str(result.code)] += 1
                self._verdict.records["expire results"] += result.type == "expire"

    def _check_figures(self, results: list[list[ConsumerRecord]]) -> None:
        """No result, and no result within one, may have a figure below zero."""
        for records in results:
            for record in records:
                result = _decode_result(record.value)
                if result.code is Code.UNREADABLE:
                    continue
                inner = [] if result.results is msgspec.UNSET else result.results
                if any(min(msgspec.structs.astuple(each.account)) < 0 for each in (result, *inner)):
                    self._wrong(f"negative: {record.topic}/{record.partition}/{record.offset} {record.value!r}")

    def _check_keys(self, results: list[list[ConsumerRecord]], keys: set[tuple[str, str]]) -> None:
        """Each key that was sent has one outcome of its own, in its home."""
        outcomes: Counter[tuple[str, str]] = Counter()
        for number, records in enumerate(results):
            for record in records:
                result = _decode_result(record.value)
                if result.code is Code.UNREADABLE:
                    continue  # answered where it is, and not remembered
                if home_partition(result.tenant_id, self._partitions) != number:
                    self._wrong(f"not at home: {record.topic}/{number}/{record.offset} {record.value!r}")
                if result.idempotency_key is not None and not result.replayed:
                    own = result.code is not Code.IDEMPOTENCY_CONFLICT
                    outcomes[result.tenant_id, result.idempotency_key] += own
        self._check_each_once("outcome", keys, outcomes)

    def _check_forwarded(self) -> None:
        """What was misplaced arrived at home, each once."""
        forwarded = Counter(each for model in self._models for each in model.forwarded)
        arrived = Counter(each for model in self._models for each in model.arrived)
        self._verdict.records["forwarded"] = arrived.total()
        if forwarded != arrived:
            self._wrong(f"forwarded, never arrived: {_some(forwarded - arrived)}")
            self._wrong(f"arrived, but not forwarded so often: {_some(arrived - forwarded)}")

    def _check_each_once(self, what: str, expected: Iterable[Any], actual: Counter[Any]) -> None:
        wanted = Counter(expected)
        if wanted != actual:
            self._wrong(f"{what} missing: {_some(wanted - actual)}")
            self._wrong(f"{what} too often: {_some(actual - wanted)}")

    # Tables

    async def _check_tables(self) -> None:
        accounts = await read_topic(self._bootstrap, tables.ACCOUNTS, self._partitions)
        reservations = await read_topic(self._bootstrap, tables.RESERVATIONS, self._partitions)
        transactions = await read_topic(self._bootstrap, tables.TRANSACTIONS, self._partitions)
        for model in self._models:
            number = model.partition
            self._check_rows(f"{tables.ACCOUNTS}/{number}", model.accounts, accounts[number], AccountRow)
            self._check_rows(
                f"{tables.RESERVATIONS}/{number}", model.reservations, reservations[number], ReservationRow
            )
            postings = [msgspec.json.decode(record.value, type=TransactionRow) for record in transactions[number]]
            if postings != model.ledger.postings:
                here = f"{tables.TRANSACTIONS}/{number}"
                self._wrong(_summary(here, model.ledger.postings, postings))

    def _check_rows(
        self, place: str, expected: dict[bytes, Any], records: Sequence[ConsumerRecord], kind: type[msgspec.Struct]
    ) -> None:
        rows = {record.key: msgspec.json.decode(record.value, type=kind) for record in records if record.value}
        if rows == expected:
            return
        differing = [key for key in rows.keys() | expected.keys() if rows.get(key) != expected.get(key)]
        for key in sorted(differing)[:SHOWN]:
            self._wrong(f"{place} {key!r}\n  expected {expected.get(key)}\n  found    {rows.get(key)}")
        self._wrong(f"{place}: {len(differing)} of {len(expected)} rows differ")


def _is_of_a_command(record: ConsumerRecord) -> bool:
    return _decode_letter(record.value).source.topic == tables.COMMANDS


def _without_texts(value: bytes) -> bytes:
    letter = _decode_letter(value)
    return msgspec.json.encode(msgspec.structs.replace(letter, detail="", payload=None, cut=False))


def _without_reason(value: bytes) -> bytes:
    """A result without the words of a library, which an unreadable one has."""
    result = _decode_result(value)
    if result.code is not Code.UNREADABLE:
        return value
    return msgspec.json.encode(msgspec.structs.replace(result, detail=""))


def _first_difference(expected: list[tuple[bytes, str]], records: Sequence[ConsumerRecord], values: list[bytes]) -> str:
    at = next(
        (i for i, ((value, _), found) in enumerate(zip(expected, values, strict=False)) if value != found),
        min(len(expected), len(values)),
    )
    lines = [f"  from number {at} on:"]
    for i in range(at, at + SHOWN):
        if i < len(expected):
            lines.append(f"  expected (of {expected[i][1]}) {expected[i][0].decode()}")
        if i < len(values):
            lines.append(f"  found    (at offset {records[i].offset}) {values[i].decode()}")
    return "\n".join(lines)


def _summary(place: str, expected: Sequence[Any], found: Sequence[Any]) -> str:
    """How many are missing, and how many should not be there."""
    wanted, actual = Counter(expected), Counter(found)
    missing, extra = wanted - actual, actual - wanted
    return f"{place}: {len(expected)} expected, {len(found)} found; {missing.total()} missing, {extra.total()} too many"


def _some(counter: Counter[Any]) -> str:
    return f"{counter.total()}: {list(counter.items())[:SHOWN]}"
