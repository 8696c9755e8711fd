"""credits: commands in; results, audit entries and the ledger's tables out."""

from shieldx.credits import tables
from shieldx.credits.fold import CreditsFold
from shieldx.credits.messages import Result
from shieldx.engine.agent import Agent
from shieldx.engine.measures import Count

agent = Agent(
    name="credits",
    reads=(tables.COMMANDS,),
    fold=CreditsFold,
    state_format="credits/1",
    writes=(tables.RESULTS, tables.AUDIT),
    tables=(tables.ACCOUNTS, tables.RESERVATIONS, tables.TRANSACTIONS, tables.OUTCOMES),
    counts=(
        Count(
            name="credits_operations_total",
            documentation="Commands answered and holds expired",
            labels=("op", "result"),
            topic=tables.RESULTS,
            of=Result.operations,
        ),
    ),
)
