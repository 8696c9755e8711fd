"""The effect of compaction on a log whose topic allows it: a stray tombstone removes an entry, which is found."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shieldx.domains.audit.tables import LOG
from shieldx.engine.declarations.manifests import load_manifests
from shieldx.settings import Settings
from shieldx.verification.kafka_log import kafka_segments
from shieldx.verification.verify import Verifier
from tests.verification.tamperings import EDITED, KEYS, chain

EAGER = {
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.001",
    "delete.retention.ms": "0",
    "max.compaction.lag.ms": "1",
}
UNPROTECTED, PROTECTED = "compacted.unprotected", "compacted.protected"
POLL_S = 0.5


@pytest.mark.integration
@pytest.mark.timeout(180)
async def test_compaction_takes_entries_only_where_the_manifest_is_not_kept(kafka: str) -> None:
    declared = load_manifests(Path(__file__).parents[2] / "topics")[LOG].config()
    lag = {"min.compaction.lag.ms": declared["min.compaction.lag.ms"]}
    configs = {UNPROTECTED: {"cleanup.policy": "compact"} | EAGER, PROTECTED: declared | EAGER | lag}
    configs[PROTECTED].pop("max.compaction.lag.ms")  # Kafka wants it above the other
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1, topic_configs=config) for name, config in configs.items()])
    await admin.close()
    records = chain(0)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for topic in configs:
            for key, value in records:
                await producer.send_and_wait(topic, value, key=key, partition=0)
            await producer.send_and_wait(topic, None, key=records[EDITED][0], partition=0)
        while ("gap", EDITED, EDITED) not in await breaks(kafka, UNPROTECTED):
            # A segment is closed, and may be cleaned, when a later record begins the next one.
            for topic in configs:
                await producer.send_and_wait(topic, records[0][1], key=records[0][0], partition=0)
            await asyncio.sleep(POLL_S)

    found = await breaks(kafka, PROTECTED)
    assert ("tombstone", EDITED, EDITED) in found, "changes to the retained log are found as well"
    assert {kind for kind, _, _ in found} == {"tombstone", "duplicate"}, "every entry still exists"


async def breaks(kafka: str, topic: str) -> list[tuple[str, int | None, int | None]]:
    verifier = Verifier(KEYS, jobs=1, progress=lambda _done, _total: None)
    verdict = await verifier.log(await kafka_segments(Settings(), kafka, topic, 1))
    return [(each.kind.value, each.first, each.last) for each in verdict.breaks]
