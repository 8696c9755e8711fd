"""bursts: the ledger's results and limits in, alarms out."""

from bursts import ALARMS, COUNTS, LIMITS, BurstsFold

from shieldx.engine.declarations.transactional import TransactionalAgent

agent = TransactionalAgent(
    name="bursts",
    reads=("bursts.commands", "credits.results"),
    writes=(ALARMS,),
    state=(LIMITS, COUNTS),
    fold=BurstsFold,
)
