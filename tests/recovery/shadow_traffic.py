"""Evaluations for the recovery test: the same list for each tenant, sent calmly by one and under fire by another."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.credits import tables as ledger
from shieldx.domains.credits.messages import Purchase
from shieldx.domains.shadow import tables
from shieldx.domains.shadow.messages import Evaluate, SealSamples, StoredSample
from shieldx.domains.shadow.rule import Scored, Signature, Weighted
from shieldx.domains.shadow.sample import Request, Sample
from shieldx.domains.shadow.sample_set import arranged, strata_of, version_of
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.state.row_key import row_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiokafka import AIOKafkaProducer

    from shieldx.messages import Id

SAMPLES = 2_000
WORDS = ("select", "union", "script", "alert", "hello", "price", "order", "from", "table", "where", "sleep", "report")
PURCHASED = 10_000_000


def samples(seed: int) -> list[Sample]:
    """Requests of random words; what is an attack has nothing to do with them, so that every cell gets its share."""
    random = Random(seed)  # noqa: S311 - a test's own requests
    return arranged(
        Sample(
            label="attack" if random.random() < 0.5 else "benign",
            category=random.choice(("sqli", "xss", "texts")),
            source=f"recovery#{number}",
            request=Request(uri="/?q=" + "+".join(random.choices(WORDS, k=random.randint(1, 30)))),
        )
        for number in range(SAMPLES)
    )


def evaluations(seed: int, count: int) -> list[Evaluate]:
    """What each tenant asks: rules and sizes at random, no two alike, so that none is answered from the cache."""
    random = Random(seed)  # noqa: S311 - a test's own rules
    return [
        Evaluate(
            tenant_id="",
            rule_id=f"rule-{number % 5}",
            eval_id=f"evaluation-{number}",
            rule_config=Scored(
                signatures=tuple(
                    Weighted(weight=random.randint(1, 4), rule=Signature(pattern=f"{word}.*{random.choice(WORDS)}"))
                    for word in random.sample(WORDS, 6)
                ),
                threshold=random.randint(2, 8),
            ),
            sample_size=random.randint(1, SAMPLES),
            seed=number,
        )
        for number in range(count)
    ]


class Sender:
    """Writes what clients write."""

    def __init__(self, producer: AIOKafkaProducer, partitions: int) -> None:
        self._producer = producer
        self._partitions = partitions

    async def purchase(self, tenant_id: str) -> None:
        await self._send(
            ledger.COMMANDS, tenant_id, Purchase(tenant_id=tenant_id, idempotency_key="first", amount=PURCHASED)
        )

    async def import_samples(self, tenant_id: str, ordered: Sequence[Sample]) -> None:
        """A set, written and sealed."""
        version = version_of(ordered)
        deliveries = [
            await self._producer.send(
                tables.SAMPLES,
                msgspec.json.encode(
                    StoredSample(tenant_id=tenant_id, sample_set="default", version=version, index=index, sample=sample)
                ),
                key=row_key(tenant_id, "default", version, str(index)),
                partition=home_partition(tenant_id, self._partitions),
            )
            for index, sample in enumerate(ordered)
        ]
        offsets = [record.offset for record in await asyncio.gather(*deliveries)]
        seal = SealSamples(
            tenant_id=tenant_id,
            sample_set="default",
            version=version,
            strata=strata_of(ordered),
            first_offset=min(offsets),
            last_offset=max(offsets),
        )
        await self._send(tables.COMMANDS, tenant_id, seal)

    async def ask(self, tenant_id: str, evaluate: Evaluate) -> None:
        await self._send(tables.EVALUATIONS, tenant_id, msgspec.structs.replace(evaluate, tenant_id=tenant_id))

    async def _send(self, topic: str, tenant_id: Id, message: msgspec.Struct) -> None:
        await self._producer.send_and_wait(
            topic,
            msgspec.json.encode(message),
            key=tenant_id.encode(),
            partition=home_partition(tenant_id, self._partitions),
        )
