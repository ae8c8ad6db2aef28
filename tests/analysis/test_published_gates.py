"""The gate beside another one's published rules: the table in docs/operating-characteristics.md."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def nemo() -> Any:
    spec = importlib.util.spec_from_file_location("nemo_gate", ROOT / "tests" / "benchmarks" / "nemo_gate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_the_document_is_what_the_rules_say(nemo: Any) -> None:
    assert nemo.table() in (ROOT / "docs" / "operating-characteristics.md").read_text()


def test_what_the_document_says_of_the_other_rules(nemo: Any) -> None:
    """How many pairs have to differ before equal sides pass; and one of ten that is worse."""
    assert nemo.nel_compare(nemo.Case("", 100_000, 391, 392)) == "INCONCLUSIVE"
    assert nemo.nel_compare(nemo.Case("", 100_000, 392, 392)) == "PASS"
    assert nemo.nel_compare(nemo.Case("", 5, 5, 0)) == "BLOCK"
    assert nemo.nel_compare(nemo.Case("", 4, 4, 0)) == "INCONCLUSIVE"
    assert nemo.nel_gate(nemo.Case("", 9, 9, 0)) == "INCONCLUSIVE"
    assert nemo.nel_gate(nemo.Case("", 10, 0, 0), max_drop=0.0) == "GO"


@pytest.mark.parametrize(("margin", "enough"), [(0.05, 73), (0.02, 189)])
def test_what_the_document_says_of_identical_examples(nemo: Any, margin: float, enough: int) -> None:
    assert nemo.ours(nemo.Case("", enough, 0, 0), margin) == "passed"
    assert nemo.ours(nemo.Case("", enough - 1, 0, 0), margin) == "inconclusive"
