from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from click.testing import CliRunner

from shieldx.cli.evaluate import EXAMPLE
from shieldx.cli.main import main
from shieldx.cli.shadow.batch_progress import BatchProgress
from shieldx.cli.shadow.evaluation_request import CorrectRequest, read_request, request_of
from shieldx.domains.shadow.messages import Evaluate, Score, Targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

RULE = {"type": "signature", "pattern": "x"}
FIELDS: dict[str, Any] = {"tenant_id": "t", "rule_id": "r", "rule_config": RULE, "sample_size": 50}


def test_the_example_of_the_help_is_a_request() -> None:
    assert request_of(json.loads(EXAMPLE), {}, {}).targets == Targets()


def test_options_come_before_fields_and_leave_the_others() -> None:
    given = FIELDS | {"targets": {"min_recall": 0.5}, "seed": 3}
    request = request_of(given, {"sample_size": 7, "tenant_id": "u"}, {"max_false_positive_rate": 0.02})
    assert (request.tenant_id, request.rule_id, request.sample_size, request.seed) == ("u", "r", 7, 3)
    assert request.targets == Targets(max_false_positive_rate=0.02, min_recall=0.5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sample_size": 0}, "`$.sample_size`"),
        ({"sample_sise": 5}, "unknown field 'sample_sise' - at `$.sample_sise`; did you mean `sample_size`?"),
        ({"zzz": 5}, "unknown field 'zzz' - at `$.zzz`; remove it"),
        ({"rule_config": RULE | {"patern": "x"}}, "Object contains unknown field `patern` - at `$.rule_config`"),
        ({"rule_config": {"type": "regex"}}, "`$.rule_config.type`"),
        ({"targets": {"max_fpr": 0.1}}, "Object contains unknown field `max_fpr` - at `$.targets`"),
        ({"targets": 0.1}, "Expected `object` - at `$.targets`"),
        ({"eval_id": "3-812"}, "`$.eval_id`"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(change: dict[str, Any], said: str) -> None:
    with pytest.raises(CorrectRequest) as caught:
        request_of(FIELDS | change, {}, {})
    assert said in str(caught.value)


def test_an_option_that_is_not_utf8_is_rejected() -> None:
    with pytest.raises(CorrectRequest, match="not UTF-8"):
        request_of(FIELDS, {"ground_truth": "\udcff"}, {})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a":', "is not JSON: Input data was truncated"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (
            b'{"targets":{"min_recall":0.1,"min_recall":1}}',
            "is ambiguous: Field given twice - at `$.targets.min_recall`",
        ),
        (b" " * 1_000_001, "exceeds 1,000,000 bytes"),
    ],
)
def test_an_invalid_request_is_rejected_with_its_file_name(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "rule.json"
    path.write_bytes(content)
    with pytest.raises(CorrectRequest) as caught:
        read_request(str(path))
    assert f"{path} {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        ([], None, "specify RULE.json, or --rule ID[@N]"),
        (["FILE", "--rule", "r"], "{}", "use either RULE.json or --rule, not both"),
        (["--rule", "r"], None, "specify --tenant T, or `tenant_id` in the file"),
        (["FILE"], '{"tenant_id": "t"}', "missing required field `rule_id`"),
        (["FILE"], "no", "request.json is not JSON: "),
        (["missing.json"], None, "cannot read missing.json: No such file or directory"),
        (["FILE", "--html", "no/such/page.html"], "{}", "--html: folder "),
        (["FILE", "--max-fpr", "2"], "{}", "2.0 is not in the range"),
        (["FILE", "--set", ""], json.dumps(FIELDS), "`$.sample_set`"),
    ],
)
def test_an_invalid_request_fails_with_a_remedy(
    shieldx: Callable[..., Result], tmp_path: Path, arguments: list[str], given: str | None, said: str
) -> None:
    path = tmp_path / "request.json"
    path.write_text(given or "")
    result = shieldx("evaluate", *(str(path) if each == "FILE" else each for each in arguments))
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_good_request_wants_a_broker(stack_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "rule.json"
    path.write_text(json.dumps(FIELDS))
    result = CliRunner().invoke(main, ["evaluate", str(path), "--eval-id", "mine"])
    assert result.exit_code == 2
    assert result.stderr.startswith("evaluation mine\n")
    assert "Run `shieldx up`, or set SHIELDX_KAFKA_BOOTSTRAP" in result.stderr
    assert not stack_folder.exists()


def test_progress_counts_each_batch_of_its_evaluation_once() -> None:
    told: list[tuple[int, int]] = []
    request = Evaluate(tenant_id="t", rule_id="r", sample_size=250, eval_id="e")
    progress = BatchProgress(request, lambda done, total: told.append((done, total)))
    for tenant_id, eval_id, batch in [("t", "e", 0), ("t", "e", 0), ("t", "other", 1), ("u", "e", 1), ("t", "e", 2)]:
        progress.take(score(tenant_id, eval_id, batch))
    assert told == [(0, 3), (1, 3), (1, 3), (2, 3)]


def score(tenant_id: str, eval_id: str, batch: int) -> bytes:
    found = Score(tenant_id=tenant_id, eval_id=eval_id, token="t", batch=batch, error="any")  # noqa: S106 - no secret
    return msgspec.json.encode(found)
