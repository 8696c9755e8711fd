"""`shieldx evaluate` as a process, on a stack whose agents judge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.cli_stack import CliStack

pytestmark = pytest.mark.integration

ATTACKS, BENIGN = 250, 500
REQUEST: dict[str, Any] = {
    "tenant_id": "org-1",
    "rule_id": "sqli-1",
    "rule_name": "union select",
    "rule_config": {"type": "signature", "pattern": "(?i)union\\s+select"},
    "sample_size": ATTACKS + BENIGN,
}


@pytest.fixture(scope="module", autouse=True)
def imported(place: CliStack, tmp_path_factory: pytest.TempPathFactory) -> None:
    samples = tmp_path_factory.mktemp("evaluate") / "samples.ndjson"
    samples.write_text("".join(json.dumps(each) + "\n" for each in made_samples()))
    done = place.call("samples", "import", "--tenant", "org-1", "--ndjson", str(samples))
    assert done.returncode == 0, done.stderr


def made_samples() -> Iterator[dict[str, Any]]:
    for number in range(ATTACKS):
        request = {"uri": f"/?q=1%20union%20select%20{number}"}
        yield {"label": "attack", "category": "sqli", "source": f"made#{number}", "request": request}
    for number in range(BENIGN):
        request = {"uri": f"/page?q={number}"}
        yield {"label": "benign", "category": "browsing", "source": f"made#b{number}", "request": request}


def request(tmp_path: Path, **fields: Any) -> str:
    path = tmp_path / "rule.json"
    path.write_text(json.dumps(REQUEST | fields))
    return str(path)


def test_a_good_rule_is_approved_and_its_page_written(place: CliStack, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = place.call("evaluate", request(tmp_path), "--html", str(page))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("APPROVE_FULL_DEPLOYMENT, confidence ")
    assert ["should", "fire", "250", "0"] in [line.split() for line in lines]
    evaluation, wrote = done.stderr.splitlines()
    assert f"evaluation     {evaluation.removeprefix('evaluation ')}" in lines
    assert wrote == f"wrote {page}"
    written = page.read_text(encoding="utf-8")
    assert "✓ Approved for full deployment" in written
    assert "(?i)union\\\\s+select" in written


def test_a_bad_rule_is_rejected_with_an_exit_code_of_its_own(place: CliStack) -> None:
    given = json.dumps(REQUEST | {"rule_config": {"type": "signature", "pattern": "page"}})
    done = place.call("evaluate", "-", "--json", given=given)
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert (report["decision"], report["true_positives"], report["false_positives"]) == ("REJECT", 0, BENIGN)
    assert report["categories"][0]["category"] == "browsing"


def test_options_decide_what_is_drawn_and_what_is_enough(place: CliStack, tmp_path: Path) -> None:
    options = (
        "--samples",
        "30",
        "--seed",
        "5",
        "--max-fpr",
        "0.5",
        "--min-recall",
        "0.1",
        "--set",
        "default",
        "--json",
    )
    done = place.call("evaluate", request(tmp_path), *options)
    report = json.loads(done.stdout)
    assert (report["sample_size"], report["seed"], report["sample_set"]) == (30, 5, "default")
    assert report["targets"] == {"max_false_positive_rate": 0.5, "min_recall": 0.1}
    assert done.returncode == 0


def test_a_repeated_request_gets_the_same_report_and_a_different_one_does_not(place: CliStack, tmp_path: Path) -> None:
    path = request(tmp_path)
    first, again = (place.read("evaluate", path, "--eval-id", "mine", "--json")[0] for _ in range(2))
    assert again == first | {"replayed": True}
    other = place.call("evaluate", path, "--eval-id", "mine", "--seed", "9")
    assert other.returncode == 1
    assert other.stdout.startswith("refused: eval_id_conflict\n")


def test_outcomes_that_are_known_serve_another_evaluation(place: CliStack, tmp_path: Path) -> None:
    path = request(tmp_path, seed=11)
    found, known = (place.read("evaluate", path, "--eval-id", name, "--json")[0] for name in ("finds", "knows"))
    assert (found["cached_from"], known["cached_from"]) == (None, "finds")
    assert (
        "outcomes from  evaluation finds of the same rule and samples"
        in place.call("evaluate", path).stdout.splitlines()
    )
    figures = {"true_positives", "false_positives", "categories", "confidence", "decision"}
    assert {name: known[name] for name in figures} == {name: found[name] for name in figures}


def test_a_report_can_be_fetched_later(place: CliStack, tmp_path: Path) -> None:
    path = request(tmp_path)
    early = place.call("evaluate", path, "--eval-id", "late", "--seed", "2", "--timeout-s", "0.001")
    assert (early.returncode, early.stdout) == (1, "")
    assert "no report within 0.001 s" in early.stderr
    assert "--eval-id late waits for the same report" in early.stderr
    (report,) = place.read("evaluate", path, "--eval-id", "late", "--seed", "2", "--json")
    assert (report["eval_id"], report["status"]) == ("late", "completed")


def test_a_rule_that_was_put_is_compared_with_its_other_version(place: CliStack, tmp_path: Path) -> None:
    for pattern in ("select [0-9]$", "union select"):
        path = request(tmp_path, rule_config={"type": "signature", "pattern": pattern})
        put = place.call("rule", "put", "--tenant", "org-1", path)
        assert put.returncode == 0, put.stderr
    page = tmp_path / "page.html"
    named = ("--tenant", "org-1", "--rule", "sqli-1@2", "--compare-with", "1", "--samples", "750")
    done = place.call("evaluate", *named, "--html", str(page))
    assert done.returncode == 0, done.stderr
    assert "240 judged correctly only by this rule, 0 only by version 1; McNemar's p < 0.0001" in done.stdout
    assert '"pattern": "union select"' in page.read_text(encoding="utf-8"), "found by its version"


def test_a_refused_evaluation_has_a_reason_and_no_decision(place: CliStack, tmp_path: Path) -> None:
    done = place.call("evaluate", request(tmp_path), "--set", "none")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "refused: unknown_sample_set"
    assert "`shieldx samples import`" in done.stdout
