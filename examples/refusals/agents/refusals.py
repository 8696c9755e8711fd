from refusals import COUNTS, RefusalsFold

from shieldx.engine.declarations.agent import Agent

agent = Agent(name="refusals", reads=("credits.results",), writes=(), state=(COUNTS,), fold=RefusalsFold)
