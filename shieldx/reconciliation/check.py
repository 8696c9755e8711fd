"""Reconciles every partition of the ledger, one after another."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from shieldx.domains.credits.tables import ACCOUNTS, COMMANDS
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.reconciliation import report as names
from shieldx.reconciliation.accounts import TopicAccounts
from shieldx.reconciliation.ends import ends, settled
from shieldx.reconciliation.kafka_topics import KafkaTopics
from shieldx.reconciliation.ledger import CheckedLedger
from shieldx.reconciliation.mirror import mirror, no_tenant, stray_rows
from shieldx.reconciliation.replayed_partition import ReplayedPartition
from shieldx.reconciliation.report import ReconciledPartition, ReconciliationReport
from shieldx.reconciliation.retained_partition import RetainedPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shieldx.engine.declarations.manifests import Topic
    from shieldx.engine.declarations.transactional import TransactionalAgent
    from shieldx.engine.tasks.checkpoint import TaskStores
    from shieldx.engine.tasks.signatures import SigningKeys
    from shieldx.reconciliation.mirror import LedgerMirror


async def reconcile(  # noqa: PLR0913 - what a replay needs, and what to compare it with
    connection: Mapping[str, Any],
    *,
    agent: TransactionalAgent,
    manifests: Mapping[str, Topic],
    partitions: int,
    application: str,
    dsn: str | None,
    progress: Callable[[int, int, int], None],
    keys: SigningKeys | None = None,
    stores: TaskStores | None = None,
) -> ReconciliationReport:
    """Replay the ledger over its commands and compare the outcome with results, audit log, tables and Postgres.

    This may run while the ledger is running. `dsn` is the address of Postgres, or None to skip it. `progress` gets a
    partition, the current offset and the final offset. Without empty `stores`, the state of one partition must fit into
    memory.

    Raises:
        KafkaError: The brokers do not respond, or a topic does not exist.
        FixConfiguration: The topic of positions belongs to another application.
        CheckPostgres: Postgres does not respond.
    """
    async with KafkaTopics(connection, application) as topics:
        ledger = CheckedLedger(
            topics=topics,
            agent=agent,
            manifests=manifests,
            partitions=partitions,
            report=ReconciliationReport(),
            progress=progress,
            keys=keys,
            stores=stores,
        )
        return await reconcile_ledger(ledger, dsn)


async def reconcile_ledger(ledger: CheckedLedger, dsn: str | None) -> ReconciliationReport:
    """Check every partition.

    Raises:
        CheckPostgres: Postgres does not respond.
    """
    for partition in range(ledger.partitions):
        grown_at = await ledger.topics.grown_at(ledger.agent.name, TopicPartition(COMMANDS, partition))
        moved = no_tenant if grown_at is None else partial(_is_elsewhere, ledger.partitions, partition)
        async with nullcontext() if dsn is None else mirror(dsn, partition, moved) as snapshot:
            await _check_partition(ledger, partition, snapshot, grown_at)
    if dsn is not None:
        await stray_rows(dsn, ledger.partitions, ledger.report.check(names.MIRRORED_ACCOUNTS))
    return ledger.report


def _is_elsewhere(partitions: int, partition: int, tenant_id: str) -> bool:
    """Whether a tenant has moved from a partition to another one."""
    return home_partition(tenant_id, partitions) != partition


async def _check_partition(
    ledger: CheckedLedger, partition: int, snapshot: LedgerMirror | None, grown_at: int | None
) -> None:
    """Check one partition. What is read first is already settled in everything that is read later.

    A partition whose tenants moved to more partitions cannot be replayed across that: its commands count from there.
    """
    topics, report = ledger.topics, ledger.report
    before = await settled(topics, ledger.agent.name, partition)
    if snapshot is not None:
        await snapshot.find_last(topics)
    mirrored = None if snapshot is None else snapshot.accounts_position
    accounts = TopicAccounts(partition, mirrored, report.check(names.ACCOUNTS_OF_RESULTS))
    tp = TopicPartition(ACCOUNTS, partition)
    first, _, end = await topics.bounds(tp)
    async for records in topics.read(tp, first, end):
        accounts.take(records)
    until = await ends(topics, partition, before)
    if grown_at is not None:
        first = max(until.commands.first, grown_at)
        until = until._replace(commands=until.commands._replace(first=first))
    from_nothing = until.commands.first == 0 and grown_at is None
    kind = ReplayedPartition if from_nothing else RetainedPartition
    checked = kind(ledger, until, accounts, snapshot)
    await checked.check()
    if snapshot is not None:
        mirrored_accounts = report.check(names.MIRRORED_ACCOUNTS)
        await snapshot.compare_accounts(accounts, mirrored_accounts)
        await snapshot.find_set_aside(mirrored_accounts, report.check(names.MIRRORED_MOVEMENTS))
        sums = report.check(names.MIRRORED_SUMS)
        await snapshot.compare_sums(topics, accounts, sums, from_nothing=from_nothing)
    report.partitions.append(
        ReconciledPartition(
            partition=partition,
            first_offset=until.commands.first,
            position=before.position,
            commands=checked.commands,
        )
    )
