"""credits: reads commands; writes results, audit entries and the ledger's tables."""

from shieldx.domains.credits import answers, tables
from shieldx.domains.credits.dead_letters import CreditsReason
from shieldx.domains.credits.fold import CreditsFold
from shieldx.domains.credits.messages import Result, names_of
from shieldx.domains.credits.state import STATE
from shieldx.engine.declarations.measures import Counter
from shieldx.engine.declarations.transactional import TransactionalAgent

agent = TransactionalAgent(
    name="credits",
    reads=(tables.COMMANDS,),
    fold=CreditsFold,
    names=names_of,
    writes=(tables.RESULTS, tables.AUDIT),
    unreadable=answers.unreadable,
    state=STATE,
    dead_letter_reasons=tuple(CreditsReason),
    counters=(
        Counter(
            name="credits_operations_total",
            documentation="Commands answered and holds expired",
            labels=("op", "result"),
            topic=tables.RESULTS,
            of=Result.operations,
        ),
    ),
)
