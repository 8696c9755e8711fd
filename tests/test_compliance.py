"""Every control on the page of compliance names code and tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec
import pytest

from shieldx.domains.credits.messages import Payment

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reference" / "compliance.md").read_text(encoding="utf-8")
HEADER = ["Requirement", "Control", "Code", "Test", "Your part"]
NAMED = re.compile(r"`([\w./-]+/[\w./-]+|[\w-]+\.lock)(?:::(\w+))?`")


def rows() -> list[list[str]]:
    """The cells of every row of the tables."""
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in PAGE.splitlines() if line.startswith("|")]
    return [row for row in cells if row != HEADER and set(row[0]) != {"-"}]


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0].split()[0] + row[0].split()[1])
def test_every_requirement_has_a_control_code_a_test_and_what_remains(row: list[str]) -> None:
    requirement, control, code, test, remaining = row
    assert requirement
    assert control
    assert remaining
    assert NAMED.findall(code)
    assert all(function for _, function in NAMED.findall(test))
    assert NAMED.findall(test)


@pytest.mark.parametrize(("path", "function"), sorted(set(NAMED.findall(PAGE))))
def test_what_the_page_names_exists(path: str, function: str) -> None:
    assert (ROOT / path).is_file()
    assert not function or function in functions_of(ROOT / path), f"{path} has no {function}"


def test_the_page_covers_what_it_says_and_claims_no_certificate() -> None:
    named = {row[0] for row in rows()}
    for begin in (
        "3.3",
        "3.4",
        "3.5",
        "10.3",
        "CC6.1",
        "CC8.1",
        "C1.2",
        "P8.1",
        "5.12",
        "8.24",
        "Art. 12(3)",
        "Art. 33",
    ):
        assert any(name.startswith(begin) for name in named), begin
    assert "**ShieldX has no certificate, and this page claims none.**" in PAGE


@pytest.mark.parametrize("last_four", ["4532123456789010", "453212******9010", "901", "9010 "])
def test_a_payment_has_no_place_for_a_card_number(last_four: str) -> None:
    reference = {"sealed": "A256GCM/1", "key_id": "k", "nonce": "", "ciphertext": ""}
    payment = {"reference": reference, "brand": "visa", "last_four": "9010"}
    msgspec.convert(payment, Payment)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**payment, "last_four": last_four}, Payment)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**payment, "number": "4532123456789010"}, Payment)
