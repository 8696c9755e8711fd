"""Every alert is about metrics that workers have."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from shieldx.engine.operations.metrics import Metrics

ALERTS = Path(__file__).parent.parent / "deploy" / "prometheus" / "alerts.yaml"


def test_alerts_name_metrics_that_exist_and_say_what_to_do() -> None:
    known = {family.name for family in Metrics([]).registry.collect()}
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    assert rules
    for rule in rules:
        assert set(re.findall(r"shieldx_\w+", rule["expr"])) <= known
        assert rule["annotations"]["description"]
