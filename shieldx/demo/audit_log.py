"""The audit log of the demo's commands, chained by the audit agent and then verified."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, NamedTuple

from shieldx.dev.first_to_end import first_to_end
from shieldx.dev.worker_process import WorkerProcess
from shieldx.domains.audit.tables import APPENDS, DECISIONS, LOG
from shieldx.engine.kafka.kafka_log import KafkaLog
from shieldx.engine.tasks.log import TopicPartition
from shieldx.keyring.file import make_keyring, read_keyring
from shieldx.verification.kafka_log import kafka_segments
from shieldx.verification.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shieldx.bootstrap.platform import Platform
    from shieldx.domains.audit.joining import Verdict

AGENT = "audit"
POLL_S = 0.2


class AuditLog(NamedTuple):
    """The verification result, and how long chaining and verifying took."""

    verdict: Verdict
    chained_s: float
    """From the start of the agent to its last entry. The agent starts only after the replay."""
    verified_s: float


async def chain_and_verify(platform: Platform, folder: Path, environment: Mapping[str, str]) -> AuditLog:
    """Have all existing appends chained, then verify the whole log.

    Raises:
        ShieldXError: The agent exited, or the log cannot be read.
    """
    keyring = folder / "keyring.json"
    make_keyring(keyring)  # creates the folder too
    clock = asyncio.get_running_loop().time
    began_s = clock()
    async with WorkerProcess(AGENT, folder, {**environment, "SHIELDX_AUDIT_KEYRING_FILE": str(keyring)}) as agent:
        await first_to_end([agent.watch(), _all_chained(platform)])
    chained_s = clock() - began_s
    segments = await kafka_segments(platform.settings, platform.bootstrap, LOG, platform.partitions)
    verifier = Verifier(read_keyring(keyring), jobs=os.cpu_count() or 1, progress=lambda _done, _total: None)
    began_s = clock()
    verdict = await verifier.log(segments)
    return AuditLog(verdict, chained_s, clock() - began_s)


async def _all_chained(platform: Platform) -> None:
    """Wait until the agent's committed offsets have passed the last append."""
    inputs = [TopicPartition(topic, n) for topic in (APPENDS, DECISIONS) for n in range(platform.partitions)]
    log = KafkaLog(platform.connection, f"{AGENT}.positions", application=platform.settings.application)
    await log.start()
    try:
        ends = {tp: end for tp, (_, end) in (await log.bounds(inputs)).items()}
        while await _lags(log, ends):  # noqa: ASYNC110 - a topic sets no event
            await asyncio.sleep(POLL_S)
    finally:
        await log.stop()


async def _lags(log: KafkaLog, ends: Mapping[TopicPartition, int]) -> bool:
    """Whether records of a partition that has any are not chained yet."""
    positions = await log.positions(ends)
    return any(end and (tp not in positions or positions[tp].next_offset < end) for tp, end in ends.items())
