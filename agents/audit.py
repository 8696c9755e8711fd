"""audit: appends, decisions and rotations in; the log, its heads, and which appends were made out."""

from shieldx.audit import tables
from shieldx.audit.fold import AuditFold
from shieldx.audit.metrics import entries, head
from shieldx.engine.agent import Agent
from shieldx.engine.measures import Count, Level

agent = Agent(
    name="audit",
    reads=(tables.APPENDS, tables.DECISIONS, tables.ROTATIONS),
    fold=AuditFold,
    takes_keyring=True,
    state_format="audit/1",
    writes=(tables.LOG,),
    tables=(tables.CHECKPOINTS, tables.REMEMBERED),
    counts=(
        Count(
            name="audit_entries_total",
            documentation="Entries chained",
            labels=("shard",),
            topic=tables.LOG,
            of=entries,
        ),
    ),
    levels=(
        Level(
            name="audit_head_sequence",
            documentation="Sequence number of the last entry",
            labels=("shard",),
            topic=tables.LOG,
            of=head,
        ),
    ),
)
