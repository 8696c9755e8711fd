"""shadow-evaluators: reads batches of samples; writes the outcome of a rule on each sample."""

from shieldx.domains.shadow import tables
from shieldx.engine.declarations.replayable import Replayable
from shieldx.evaluators.evaluators import Evaluators

agent = Replayable(
    name="shadow-evaluators",
    reads=(tables.BATCHES,),
    looks_up=(tables.SAMPLES,),
    writes=(tables.SCORES,),
    answering=Evaluators,
    parameters=("shadow_processes",),
)
