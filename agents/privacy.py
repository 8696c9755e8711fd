"""privacy: reads requests for data keys and commands of operators; writes results, keys, erasures and requests."""

from shieldx.domains.privacy import answers, tables
from shieldx.domains.privacy.fold import PrivacyFold
from shieldx.domains.privacy.metrics import operations
from shieldx.domains.privacy.state import STATE
from shieldx.engine.declarations.measures import Counter
from shieldx.engine.declarations.transactional import TransactionalAgent

agent = TransactionalAgent(
    name="privacy",
    reads=(tables.KEY_REQUESTS, tables.COMMANDS),
    fold=PrivacyFold,
    writes=(tables.RESULTS, tables.AUDIT),
    unreadable=answers.unreadable,
    state=STATE,
    counters=(
        Counter(
            name="privacy_operations_total",
            documentation="Requests for keys and commands answered",
            labels=("op", "result"),
            topic=tables.RESULTS,
            of=operations,
        ),
    ),
)
