"""One example of every stored form, built from fixed values, as this release writes it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.audit.head import Head
from shieldx.domains.audit.state import pack_append
from shieldx.domains.credits import state as credits_state
from shieldx.domains.credits.fold import CreditsFold
from shieldx.domains.credits.messages import (
    Abort,
    Batch,
    Code,
    Command,
    Commit,
    Consume,
    Purchase,
    Refund,
    Reserve,
)
from shieldx.domains.credits.outcomes import Balances, Item, Outcome, pack
from shieldx.domains.credits.reservations import Hold, pack_hold
from shieldx.domains.credits.tables import AccountRow, ReservationRow, State, TransactionRow
from shieldx.domains.credits.transactions import TransactionPlace
from shieldx.domains.privacy.messages import RequestKind
from shieldx.domains.privacy.tables import DataKey, ErasureRow, RequestRow, SubjectKeys
from shieldx.domains.shadow.messages import Evaluate, Stratum
from shieldx.domains.shadow.planning import request_digest
from shieldx.domains.shadow.rule import Composite, Keywords, Scored, Signature, Weighted, rule_hash
from shieldx.domains.shadow.sample import Request, Sample
from shieldx.domains.shadow.sample_set import strata_digest, version_of
from shieldx.engine.declarations.manifests import Topic
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.tasks.checkpoint import Checkpoint
from shieldx.engine.tasks.codec import TICK_HEADERS, TICK_VALUE
from shieldx.engine.tasks.position import Position, encode_position
from shieldx.engine.tasks.signatures import Signatures
from shieldx.engine.testing.driver import DriverKeys
from shieldx.messages import AuditAppend
from shieldx.privacy.key_id import DataKeyId
from shieldx.privacy.key_wrapping import TRANSIT_FORM, with_form, wrap
from shieldx.privacy.sealing import Place, SealingKey
from shieldx.privacy.subjects import pseudonym
from shieldx.state.deduplication import body_digest, key_digest
from shieldx.state.partition_state import PartitionState
from tests.dict_store import DictStore

if TYPE_CHECKING:
    from collections.abc import Callable

AT_MS = 1_767_268_800_000
FIGURES = Balances(900, 50, 100, 1000)
KEYS: dict[str, Any] = {"tenant_id": "org-123", "idempotency_key": "k1"}
COMMANDS: dict[str, Command] = {
    "purchase": Purchase(**KEYS, amount=1000, actor="alice"),
    "consume": Consume(**KEYS, amount=7, description="tokens"),
    "reserve": Reserve(**KEYS, amount=50, reservation_id="r/1", ttl_s=60),
    "commit": Commit(**KEYS, reservation_id="r/1", amount=20, final=False),
    "abort": Abort(**KEYS, reservation_id="r/1"),
    "refund": Refund(**KEYS, transaction_id="3-812"),
    "batch": Batch(
        **KEYS,
        atomic=False,
        commands=[Consume(tenant_id="org-123", idempotency_key=f"k{n}", amount=n) for n in (2, 3)],
    ),
}
ITEMS = (
    Item(b"k2" * 8, Code.OK, 831_489, AT_MS, FIGURES),
    Item(b"k3" * 8, Code.IDEMPOTENCY_CONFLICT, 831_490, AT_MS, FIGURES, replayed=False, field="amount"),
)


def outcome_of(command: Command) -> Outcome:
    return Outcome(Code.OK, 831_488, AT_MS, FIGURES, ITEMS if isinstance(command, Batch) else ())


def block() -> bytes:
    """A block of remembered outcomes, one for each kind of command."""
    window = PartitionState(credits_state.STATE).table(credits_state.OUTCOMES)
    for name, command in COMMANDS.items():
        window.remember(key_digest("org-123", name), pack(command, outcome_of(command)), AT_MS)
    (change,) = window.changes()
    assert change.value is not None
    return change.value


def in_store(spec: Any, fill: Callable[[Any], object], table: str) -> bytes:
    """What a table gives to a store for one row."""
    store = DictStore()
    state = PartitionState(credits_state.STATE, 3, store)
    fill(state.table(spec))
    for _ in state.changes():
        pass
    batch = store.begin()
    state.flush(batch)
    store.apply(batch)
    ((_, value),) = store.scan(table, b"", b"\xff" * 9)
    return value


def refundable(transactions: Any) -> None:
    transactions.add("org-123", TransactionPlace(3, 831_488), 7, AT_MS)


RULE = Scored(
    signatures=(
        Weighted(weight=2, rule=Signature(pattern="(?i)union select", transformations=("url_decode", "lowercase"))),
        Weighted(weight=1, rule=Keywords(keywords=("sleep", "benchmark"))),
    ),
    threshold=2,
)
COMPOSITE = Composite(operator="or", rules=(Signature(pattern="a"), Signature(pattern="b", match="literal")))
SAMPLES = [
    Sample(label="attack", category="sqli", source="x#1", request=Request(uri="/?q=1")),
    Sample(label="benign", category="text", source="x#2", request=Request(body=b"\x00"), expected_rules=("942100",)),
]
SHARED = {"orders": Topic(about="", key="", cleanup="delete", writers="clients")}
SIGNED = ("orders", b"org-123", b"{}", "answers")
"""Topic, key, value and reply-to of a signed record."""


def signatures() -> Signatures:
    """Those of an agent that reads its own orders."""
    shop = TransactionalAgent(
        name="shop",
        reads=("orders",),
        writes=("orders",),
        fold=CreditsFold,
        reserved={"orders": ("shop",)},
        names=tuple,
    )
    return Signatures(shop, SHARED, DriverKeys({"2026-01": b"k" * 32}), lambda: AT_MS)


APPEND = AuditAppend(
    tenant_id="org-123", idempotency_key="k1", action="user.login", subject="user/7", outcome="ok", at="2026-01-01"
)

DATA_KEY = DataKeyId("org-123", pseudonym(b"s" * 32, "org-123", "ada"), "a" * 16)
SEALED_AT = Place("org-123", "credits.commands", "personal", "k1")


def forms() -> dict[str, bytes]:
    """Every form by the name of its golden file."""
    encode = msgspec.json.encode
    held = Hold(50, AT_MS + 60_000, 831_488)
    packed = {f"credits.outcome.{name}.1.bin": pack(command, outcome_of(command)) for name, command in COMMANDS.items()}
    return packed | {
        "credits.outcomes.1.bin": block(),
        "credits.outcomes.moved.1.bin": credits_state.OUTCOMES.moved(3, block()),
        "credits.hold.open.1.bin": pack_hold(held),
        "credits.hold.settled.1.bin": pack_hold(held.closed(State.SETTLED, AT_MS)),
        "credits.hold.expired.1.bin": pack_hold(held.closed(State.EXPIRED, AT_MS)),
        "credits.hold.moved.1.bin": pack_hold(msgspec.structs.replace(held, partition=3)),
        "credits.account-on-disk.1.bin": in_store(
            credits_state.ACCOUNTS, lambda accounts: accounts.put("org-123", FIGURES), "accounts"
        ),
        "credits.transaction-on-disk.1.bin": in_store(credits_state.TRANSACTIONS, refundable, "refundable"),
        "credits.account.1.json": encode(AccountRow("org-123", *FIGURES)),
        "credits.reservation.1.json": encode(
            ReservationRow("org-123", "r/1", "3-812", 50, AT_MS + 60_000, State.OPEN, 0)
        ),
        "credits.transaction.1.json": encode(
            TransactionRow("org-123", "3-812", "consume", 7, 900, AT_MS, "k1", "tokens")
        ),
        "audit.packed-append.1.bin": pack_append(AT_MS, body_digest(encode(APPEND))),
        "audit.head.1.json": encode(Head(shard=3, sequence=7, at="2026-01-01", hash="0" * 64, next_key_id="k1")),
        "engine.position.1.json": encode_position(
            Position(
                version=1,
                next_offset=813,
                application="shieldx",
                format_level=1,
                partitions=12,
                topic_ids={"credits.commands": "IigsUc6eQyWY3lp4pK0ZRw"},
                outputs={"credits.results": 2001},
            )
        ),
        "engine.position.grown.1.json": encode_position(
            Position(version=1, next_offset=813, application="shieldx", format_level=1, partitions=24, grown_at=700)
        ),
        "engine.checkpoint.1.json": encode(
            Checkpoint(
                version=1,
                format_level=1,
                cluster="MkU3OEVBNTcwNTJENDM2Qg",
                partitions=12,
                positions={"credits.accounts": 99},
                as_of_ms=AT_MS,
            )
        ),
        "engine.tick.1.json": encode({"value": TICK_VALUE.decode(), "headers": dict(TICK_HEADERS)}),
        "engine.signature.1.json": signatures().sign(*SIGNED)[1],
        "privacy.sealed.1.json": encode(
            SealingKey(b"k" * 32, DATA_KEY.key_id).seal(b'{"name":"Ada Lovelace"}', SEALED_AT, nonce=b"n" * 12)
        ),
        "privacy.wrapped-key.1.bin": wrap(b"d" * 32, b"K" * 32, DATA_KEY),
        "privacy.wrapped-key.transit.1.bin": with_form(TRANSIT_FORM, b"vault:v3:Y2lwaGVydGV4dA=="),
        "privacy.keys.1.json": encode(
            SubjectKeys(
                tenant_id=DATA_KEY.tenant_id,
                subject=DATA_KEY.subject,
                keys=(
                    DataKey(
                        key=DATA_KEY.key,
                        kek_id="2026-11",
                        wrapped=wrap(b"d" * 32, b"K" * 32, DATA_KEY),
                        granted=10_000,
                        created_at="2026-01-01T12:00:00.000Z",
                    ),
                ),
            )
        ),
        "privacy.erasure.1.json": encode(
            ErasureRow(
                tenant_id=DATA_KEY.tenant_id,
                subject=DATA_KEY.subject,
                erased_at="2026-01-01T12:00:00.000Z",
                keys=(DATA_KEY.key,),
                sweep_at_ms=AT_MS,
            )
        ),
        "privacy.request.1.json": encode(
            RequestRow(
                tenant_id=DATA_KEY.tenant_id,
                request_id="r1",
                subject=DATA_KEY.subject,
                kind=RequestKind.ERASURE,
                received_at="2026-01-01T12:00:00Z",
                due_at="2026-01-31T12:00:00Z",
                answered_at="2026-01-02T12:00:00.000Z",
                answer="erased",
            )
        ),
        "privacy.pseudonym.1.txt": DATA_KEY.subject.encode(),
        "digests.1.json": msgspec.json.format(encode(digests())),
    }


def digests() -> dict[str, str]:
    """What identifies commands, rules, requests and sets of samples."""
    encode = msgspec.json.encode
    strata = (Stratum(label="attack", category="sqli", samples=1),)
    evaluate = Evaluate(tenant_id="org-123", rule_id="r", rule_config=RULE, sample_size=500)
    return {name: body_digest(encode(command)).hex() for name, command in COMMANDS.items()} | {
        "append": body_digest(encode(APPEND)).hex(),
        "idempotency key": key_digest("org-123", "k1").hex(),
        "scored rule": rule_hash(RULE),
        "composite rule": rule_hash(COMPOSITE),
        "evaluation request": request_digest(evaluate),
        "strata": strata_digest(strata),
        "version of a sample set": version_of(SAMPLES),
    }


def field_numbers(packed: bytes) -> list[int]:
    """The numbers of the fields whose digests a packed outcome holds."""
    head = struct.Struct(">B16sBBQq4qHB")
    count = head.unpack_from(packed)[-1]
    return [packed[head.size + 5 * number] for number in range(count)]
