"""Which texts of errors say the same."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from prefect_experiments.analysis.failures import failures_of, gist
from prefect_experiments.store import EvaluatorRecord, Store, TaskRecord
from prefect_experiments.store.failures import CallCount
from tests.store.samples import TASK, examples, failed_row, record, run_row, verdict

ALIKE = [
    ("KeyError: 'a'", "KeyError: 'b c'"),
    ('ValueError: no "x" here', 'ValueError: no "y" here'),
    ("IndexError: row 17 of 200", "IndexError: row 3 of 9"),
    ("TimeoutError: no answer within timeout=0.05 s", "TimeoutError: no answer within timeout=60 s"),
    ("NotFound: 3f9a0c2e-71b8-4d65-9f00-0123456789ab", "NotFound: 00000000-71b8-4d65-9f00-0123456789ac"),
    ("APIError: request req_011CSpQ failed", "APIError: request req_9zz failed"),
    ("RateLimitError: Error code: 429 - limit of 10 reached", "RateLimitError: Error code: 429 - limit of 20 reached"),
]
APART = [
    ("KeyError: 'a'", "ValueError: 'a'"),
    ("ValueError: too long", "ValueError: too short"),
    ("HTTPStatusError: 429", "HTTPStatusError: no answer"),
    ("APIError: Error code: 429", "APIError: Error code: 500"),
    ("APIError: HTTP 404 for it", "APIError: HTTP 503 for it"),
    ("ValueError: it doesn't fit, and that's it", "ValueError: it doesn't work, and that's it"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_texts_that_differ_in_numbers_ids_and_quotes_say_the_same(one: str, other: str) -> None:
    assert gist(one) == gist(other)


@pytest.mark.parametrize(("one", "other"), APART)
def test_other_texts_do_not(one: str, other: str) -> None:
    assert gist(one) != gist(other)


@given(st.text(max_size=300), st.integers(), st.integers())
def test_any_text_has_a_gist_whatever_the_number_behind_it(text: str, one: int, other: int) -> None:
    assert gist(f"{text} n={abs(one)}") == gist(f"{text} n={abs(other)}")
    assert gist("word " * 100_000)


TEXTS = [
    "KeyError: 'a'", "KeyError: 'b'", "KeyError: 'b'", "ValueError: no", "others say it", f"ValueError: {'x' * 3000}",
]  # fmt: skip


@pytest.mark.parametrize("ours", [True, False])
def test_what_says_the_same_is_counted_together_the_commonest_first(ours: bool) -> None:
    store = Store("sqlite://")
    evaluators = [EvaluatorRecord(name, "CODE", "a" * 64) for name in ("judge", "rule")]
    options: dict[str, Any] = {} if ours else {"task": TaskRecord("answer", None, None)}
    kept = store.experiments.create(
        "failing", store.datasets.put("dataset", examples(8)), evaluators=evaluators, **{"task": TASK, **options}
    )
    late = [verdict(n, "judge", score=None, error=f"TimeoutError: after {n} s") for n in (6, 7)]
    record(
        store,
        kept.experiment.id,
        [*(failed_row(n, error=text) for n, text in enumerate(TEXTS)), run_row(6), run_row(7)],
        [*late, verdict(6, "rule", score=None, error="Boom"), verdict(7, "rule")],
    )
    found = failures_of(store, store.experiments.get(kept.experiment.id), runs=CallCount(8, 6))
    assert [(one.type, one.text, one.alike, one.count, one.example_id) for one in found.of_task] == [
        ("KeyError", "KeyError: 'b'", False, 3, "ex-1"),
        ("ValueError", "ValueError: no", True, 1, "ex-3"),
        ("", "others say it", True, 1, "ex-4"),
        ("ValueError", f"ValueError: {'x' * 1988}", True, 1, "ex-5"),
    ]
    assert [(one.evaluator, one.type, one.text, one.alike, one.count) for one in found.of_evaluators] == [
        ("judge", "TimeoutError", "TimeoutError: after 6 s", False, 2),
        ("rule", "Boom" if ours else "", "Boom", True, 1),
    ]
    assert found.errors == (*found.of_task, *found.of_evaluators)
    assert (found.task, dict(found.evaluators)) == (
        CallCount(8, 6),
        {"judge": CallCount(2, 2), "rule": CallCount(2, 1)},
    )
    assert found.types[None] == {"KeyError": 3, "ValueError": 2, "": 1}
    assert [found.every_call_of(names) for names in (None, ["judge"], ["judge", "rule"], ["nobody"])] == [
        None, "evaluators", None, None,
    ]  # fmt: skip
    store.close()
