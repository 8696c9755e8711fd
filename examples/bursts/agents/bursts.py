"""bursts: the ledger's results and limits in, alarms out."""

from bursts import ALARMS, COUNTS, LIMITS, BurstsFold

from shieldx.engine.declarations.agent import Agent

agent = Agent(
    name="bursts",
    reads=("bursts.commands", "credits.results"),
    writes=(ALARMS,),
    state=(LIMITS, COUNTS),
    fold=BurstsFold,
)
