"""shadow: reads evaluations, rules and sample sets; writes batches for the evaluators, reports and results."""

from shieldx.domains.credits.tables import COMMANDS as LEDGER_COMMANDS
from shieldx.domains.shadow import answers, metrics, tables
from shieldx.domains.shadow.dead_letters import ShadowReason
from shieldx.domains.shadow.fold import ShadowFold
from shieldx.domains.shadow.state import STATE
from shieldx.engine.declarations.measures import Counter, Gauge, Histogram
from shieldx.engine.declarations.transactional import TransactionalAgent

agent = TransactionalAgent(
    name="shadow",
    reads=(tables.COMMANDS, tables.EVALUATIONS, tables.PAYMENTS, tables.SCORES),
    fold=ShadowFold,
    parameters=("shadow_price_per_1000", "shadow_token_key"),
    writes=(tables.REPORTS, tables.RESULTS, tables.BATCHES, LEDGER_COMMANDS, tables.AUDIT),
    answers=(tables.REPORTS, tables.RESULTS),
    unreadable=answers.unreadable,
    state=STATE,
    dead_letter_reasons=tuple(ShadowReason),
    counters=(
        Counter(
            name="shadow_evaluation_total",
            documentation="Evaluations reported, by decision, or by code where there is none",
            labels=("result",),
            topic=tables.REPORTS,
            of=metrics.result,
        ),
        Counter(
            name="shadow_cache_hits_total",
            documentation="Evaluations whose outcomes were known already",
            labels=(),
            topic=tables.REPORTS,
            of=metrics.cache_hits,
        ),
    ),
    histograms=(
        Histogram(
            name="shadow_evaluation_duration_seconds",
            documentation="Stream time from request to report",
            topic=tables.REPORTS,
            of=metrics.duration_s,
            buckets=metrics.DURATION_BUCKETS_S,
        ),
    ),
    gauges=(
        Gauge(
            name="shadow_rule_f1_score",
            documentation="F1 of the last evaluation that was completed",
            labels=("rule_id",),
            topic=tables.REPORTS,
            of=metrics.f1_score,
            every=True,
        ),
    ),
)
