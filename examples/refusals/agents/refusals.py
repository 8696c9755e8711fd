from refusals import COUNTS, RefusalsFold

from shieldx.engine.declarations.transactional import TransactionalAgent

agent = TransactionalAgent(name="refusals", reads=("credits.results",), writes=(), state=(COUNTS,), fold=RefusalsFold)
