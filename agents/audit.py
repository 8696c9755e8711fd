"""audit: reads appends, decisions and rotations; writes the log, its heads, and the keys of chained appends."""

from shieldx.domains.audit import answers, tables
from shieldx.domains.audit.dead_letters import AuditReason
from shieldx.domains.audit.fold import AuditFold
from shieldx.domains.audit.metrics import entries, head
from shieldx.domains.audit.state import STATE
from shieldx.engine.declarations.measures import Counter, Gauge
from shieldx.engine.declarations.transactional import TransactionalAgent

agent = TransactionalAgent(
    name="audit",
    reads=(tables.APPENDS, tables.DECISIONS, tables.ROTATIONS),
    fold=AuditFold,
    parameters=("audit_keyring",),
    writes=(tables.LOG, tables.RESULTS),
    answers=(tables.LOG, tables.RESULTS),
    unreadable=answers.unreadable,
    state=STATE,
    dead_letter_reasons=tuple(AuditReason),
    counters=(
        Counter(
            name="audit_entries_total",
            documentation="Entries chained",
            labels=("shard",),
            topic=tables.LOG,
            of=entries,
        ),
    ),
    gauges=(
        Gauge(
            name="audit_head_sequence",
            documentation="Sequence number of the last entry",
            labels=("shard",),
            topic=tables.LOG,
            of=head,
        ),
    ),
)
