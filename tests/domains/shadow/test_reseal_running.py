"""A set that is sealed with other strata while evaluations draw from it."""

from __future__ import annotations

import pytest

from shieldx.domains.shadow.messages import Stratum
from shieldx.domains.shadow.report import EvaluationCode
from tests.domains.shadow.shadow_world import ShadowWorld, samples


@pytest.mark.parametrize("restarts", [False, True])
async def test_an_evaluation_fails_whose_set_is_sealed_with_other_strata_meanwhile(*, restarts: bool) -> None:
    world, found = ShadowWorld(), samples(50, 950)
    await world.import_samples(found)
    world.ask(eval_id="a")
    await world.shadow.run()
    out = world.batches()
    for batch in out[5:]:
        world.score(batch)
    await world.shadow.run()
    await world.import_samples(found, strata=[Stratum(label="attack", category="sqli", samples=300)])
    if restarts:
        await world.shadow.restart(0)
    world.score(out[0])
    await world.settle()
    assert [(it.status, it.code) for it in world.reports()] == [("failed", EvaluationCode.EVALUATION_FAILED)]
    await world.import_samples(found)
    assert (await world.evaluate(eval_id="b")).status == "completed"
