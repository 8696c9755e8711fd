"""The agent shadow, the real ledger and evaluators in one process, with records carried between them by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.credits import tables as ledger
from shieldx.domains.credits.messages import Balance, Code, Purchase, Result, command_digest
from shieldx.domains.shadow import tables
from shieldx.domains.shadow.matching.matcher import Judgement, compile_rule
from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.messages import Evaluate, Outcomes, SampleBatch, Score, SealSamples, Stratum
from shieldx.domains.shadow.rule import RuleConfig, Signature
from shieldx.domains.shadow.sample import Request, Sample
from shieldx.domains.shadow.sample_set import arranged, strata_digest, strata_of, version_of
from shieldx.domains.shadow.tables import Plan
from shieldx.engine.declarations.declared import load_declared
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.tasks.codec import CARRIED
from shieldx.engine.tasks.signatures import Signatures
from shieldx.engine.testing.driver import KEYS, AgentDriver
from shieldx.messages import DEAD_LETTERS, DeadLetter, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shieldx.domains.credits.messages import Command
    from shieldx.domains.shadow.report import Report
    from shieldx.engine.declarations.manifests import Topic
    from shieldx.engine.tasks.checkpoint import TaskStores
    from shieldx.engine.testing.memory_log import MemoryRecord

ROOT = Path(__file__).parents[3]
TENANT = "org-123"
TOKEN_KEY = b"nobody else knows it"
INJECTION = Signature(pattern="' OR '1'='1")


def sample(query: str, *, attack: bool, category: str = "", **expectations: Any) -> Sample:
    """A request for `/?q=…`."""
    return Sample(
        label="attack" if attack else "benign",
        category=category or ("sqli" if attack else "texts"),
        source=f"example#{query}",
        request=Request(uri=f"/?q={query}"),
        **expectations,
    )


def samples(attacks: int, benign: int, *, missed: int = 0, mistaken: int = 0) -> list[Sample]:
    """Attacks that `INJECTION` finds but for those `missed`; benign ones that it spares but for `mistaken`."""
    return [
        *(sample(f"{n}' OR '1'='1", attack=True) for n in range(attacks - missed)),
        *(sample(f"{n}' UNION SELECT", attack=True) for n in range(missed)),
        *(sample(f"hello {n}", attack=False) for n in range(benign - mistaken)),
        *(sample(f"say ' OR '1'='1 {n}", attack=False) for n in range(mistaken)),
    ]


_compiled = cache(compile_rule)


@lru_cache(maxsize=100_000)
def _judgement(rule: RuleConfig, it: Sample) -> Judgement:
    """Kept: what evaluators do is judged elsewhere, and the same samples come again and again."""
    return _compiled(rule).judge(ParsedRequest(it.request))


def judge(rule: RuleConfig, chosen: Iterable[Sample]) -> Outcomes:
    compiled = _compiled(rule)
    found = [_judgement(rule, it) for it in chosen]
    return Outcomes(
        fired="".join("1" if it.fired else "0" for it in found),
        scores=tuple(it.score for it in found) if compiled.is_scored else None,
    )


@cache
def _agents() -> tuple[TransactionalAgent, TransactionalAgent, dict[str, Topic]]:
    declared = load_declared(ROOT)
    agents, topics = declared.agents, declared.topics
    shadow, credit = agents["shadow"], agents["credits"]
    assert isinstance(shadow, TransactionalAgent)
    assert isinstance(credit, TransactionalAgent)
    return shadow, credit, topics


class ShadowWorld:
    """What a broker, a ledger and evaluators would do, step by step; a test may do any step otherwise."""

    def __init__(self, *, price_per_1000: int = 0, stores: TaskStores | None = None) -> None:
        shadow, credit, topics = _agents()
        given = {"shadow_price_per_1000": price_per_1000, "shadow_token_key": TOKEN_KEY}
        priced = replace(shadow, fold=partial(shadow.fold, **given))
        self.shadow = AgentDriver(priced, topics, stores=stores)
        self.ledger = AgentDriver(credit, topics)
        self.sets: dict[str, list[Sample]] = {}
        self._carried: dict[str, int] = {}

    async def import_samples(
        self,
        found: Sequence[Sample],
        sample_set: str = "default",
        *,
        tenant_id: str = TENANT,
        strata: Sequence[Stratum] | None = None,
    ) -> str:
        """A version of a set, sealed: with its strata, or those that somebody says it has."""
        ordered = arranged(found)
        version = version_of(ordered)
        self.sets[version] = ordered
        self.shadow.send(
            tables.COMMANDS,
            SealSamples(
                tenant_id=tenant_id,
                sample_set=sample_set,
                version=version,
                strata=strata_of(ordered) if strata is None else tuple(strata),
                first_offset=0,
                last_offset=len(ordered) - 1,
            ),
        )
        await self.shadow.run()
        return version

    async def purchase(self, amount: int, *, tenant_id: str = TENANT) -> None:
        self.ledger.send(ledger.COMMANDS, Purchase(tenant_id=tenant_id, idempotency_key="purchase", amount=amount))
        await self.ledger.run()

    def ask(
        self, rule: RuleConfig | None = INJECTION, *, headers: Sequence[tuple[str, bytes]] = (), **fields: Any
    ) -> None:
        """Send an evaluation."""
        fields = {"tenant_id": TENANT, "rule_id": "rule-001"} | fields
        evaluate = Evaluate(rule_config=rule, **fields)
        self.shadow.send(tables.EVALUATIONS, evaluate, headers=headers)

    def advance(self, ms: int) -> None:
        self.shadow.advance(ms)
        self.ledger.advance(ms)

    async def pay(self) -> None:
        """The ledger answers what the agent has asked of it."""
        for record in self._new(self.shadow, ledger.COMMANDS):
            self.ledger.send(ledger.COMMANDS, record.value, key=record.key, headers=record.headers)
        await self.ledger.run()
        for record in self._new(self.ledger, tables.PAYMENTS):
            self.shadow.send(tables.PAYMENTS, record.value, key=record.key, headers=record.headers)
        await self.shadow.run()

    def answer(self, command: Command, code: Code, *, signed: bool = True) -> None:
        """An answer to a command of the agent that the real ledger does not give; as if the ledger had signed it."""
        _, credit, topics = _agents()
        result = Result(
            idempotency_key=command.idempotency_key,
            tenant_id=command.tenant_id,
            type=type(command).__name__.lower(),
            code=code,
            transaction_id="0-0",
            balance=Balance(0, 0, 0, 0, 0),
            at=rfc3339(self.shadow.now_ms),
            replayed=False,
            command_digest=command_digest(command).hex(),
        )
        value, key = msgspec.json.encode(result), command.tenant_id.encode()
        signatures = Signatures(credit, topics, KEYS, lambda: self.shadow.now_ms)
        headers = [signatures.sign(tables.PAYMENTS, key, value)] if signed else []
        self.shadow.send(tables.PAYMENTS, value, key=key, headers=headers)

    def commands(self) -> list[Command]:
        """What the agent has sent to the ledger."""
        commands: list[Command] = self.shadow.messages(ledger.COMMANDS)
        return commands

    def batches(self) -> list[MemoryRecord]:
        """Those that have come since the last call."""
        return self._new(self.shadow, tables.BATCHES)

    def score(self, record: MemoryRecord, *, latency_ns: int = 1000) -> None:
        """An evaluator judges a batch, of which each sample takes it a nanosecond longer than the one before."""
        batch = msgspec.json.decode(record.value or b"", type=SampleBatch)
        known = self.sets[batch.sample_set_version]
        if batch.strata != strata_digest(strata_of(known)):
            self.send_score(batch.batch, eval_id=batch.eval_id, error="sealed with other strata")
            return
        chosen = [known[index] for index in batch.samples]
        score = Score(
            tenant_id=batch.tenant_id,
            eval_id=batch.eval_id,
            token=batch.token,
            batch=batch.batch,
            outcomes=judge(batch.rule, chosen),
            compared=None if batch.compared is None else judge(batch.compared, chosen),
            sources=tuple(it.source for it in chosen),
            latencies_ns=tuple(latency_ns + index for index in range(len(chosen))),
        )
        headers = [(name, content) for name, content in record.headers if name in CARRIED]
        self.shadow.send(tables.SCORES, score, headers=headers)

    def send_score(self, batch: int, *, eval_id: str = "a", **fields: Any) -> None:
        """Send what no evaluator of the world would: a score of an evaluation that runs, or of one that ended last."""
        token = fields.pop("token", None) or self.tokens(eval_id)[-1]
        self.shadow.send(tables.SCORES, Score(tenant_id=TENANT, eval_id=eval_id, token=token, batch=batch, **fields))

    def tokens(self, eval_id: str = "a") -> list[str]:
        """Those of an evaluation, and of later ones under its id, each once."""
        plans = [it for it in self.shadow.messages(tables.PLANS) if isinstance(it, Plan) and it.eval_id == eval_id]
        return list(dict.fromkeys(plan.token for plan in plans))

    async def settle(self) -> None:
        """Carry records to and fro until nothing moves."""
        await self.shadow.run()
        while True:
            await self.pay()
            batches = self.batches()
            for record in batches:
                self.score(record)
            await self.shadow.run()
            if not batches:
                await self.pay()
                return

    def reports(self) -> list[Report]:
        return self.shadow.messages(tables.REPORTS)

    async def evaluate(self, rule: RuleConfig | None = INJECTION, **fields: Any) -> Report:
        """The report of an evaluation that nothing disturbs."""
        self.ask(rule, **fields)
        await self.settle()
        return self.reports()[-1]

    def held(self, tenant_id: str = TENANT) -> int:
        """Credits that are held at the moment."""
        return self._balance(tenant_id).reserved_funds

    def spent(self, tenant_id: str = TENANT) -> int:
        """Credits that were spent so far."""
        return self._balance(tenant_id).total_spent

    def dead_letters(self) -> list[DeadLetter]:
        return [letter for driver in (self.shadow, self.ledger) for letter in driver.messages(DEAD_LETTERS)]

    def _balance(self, tenant_id: str) -> Balance:
        results: list[Result] = self.ledger.messages(ledger.RESULTS)
        return [result.account for result in results if result.tenant_id == tenant_id][-1]

    def _new(self, driver: AgentDriver, topic: str) -> list[MemoryRecord]:
        records = driver.read(topic)
        fresh = records[self._carried.get(topic, 0) :]
        self._carried[topic] = len(records)
        return fresh


def without_timings(report: Report) -> bytes:
    """What must be the same whenever a report is made again; without the token either, which is of one time alone."""
    fields = msgspec.to_builtins(report)
    del fields["timings"]
    fields["charge"]["reservation_id"] = (report.charge.reservation_id or "").rpartition("/")[0]
    return msgspec.json.encode(fields)
