"""Text that is odd: it comes back as it was, or with what no database takes made visible."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_experiments.jsonable import dumps_strict
from prefect_experiments.store import Store
from prefect_experiments.store.sanitize import nearest_first
from prefect_experiments.texts import plain_text

from .samples import failed_row, new_experiment, record, run_row, verdict

ODD = [
    "",
    " \t\r\n\x0b\x1f\x7f\x85\u2028\u2029\ufeff",
    "👩\u200d💻 🇩🇪 e\u0301 \u202eright to left",
    "\ufffe\uffff\U0010ffff",
    "'; DROP TABLE experiments; -- %s %(x)s :name ? {} \\",
    "x" * 1_000_000,
]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("plain", "plain"),
        ("a\x00b", "a\u2400b"),
        ("\x00" * 3, "\u2400" * 3),
        ("a\udc80b\ud800", "a\\udc80b\\ud800"),
        ("ü\x00\udfff", "ü\u2400\\udfff"),
    ],
)
def test_plain_text(text: str, kept: str) -> None:
    assert plain_text(text) == kept


@pytest.mark.parametrize("text", ODD)
def test_plain_text_leaves_text_alone(text: str) -> None:
    assert plain_text(text) is text


def test_nearest_first() -> None:
    names = [f"n{number:03}" for number in range(100)]
    assert nearest_first("n099", names)[0] == "n099"
    assert len(nearest_first("n099", names)) == 20
    assert nearest_first("other", ["b", "a"]) == ["a", "b"]


def test_odd_texts_come_back(store: Store) -> None:
    experiment_id = new_experiment(store, len(ODD)).experiment.id
    runs = [run_row(n, output_json=dumps_strict({"text": text, "nul": "\x00"})) for n, text in enumerate(ODD)]
    errors = [failed_row(n, 2, error=text) for n, text in enumerate(ODD)]
    texts = [
        verdict(n, label=text, explanation=text, metadata_json=dumps_strict({"text": text}))
        for n, text in enumerate(ODD)
    ]
    failed = [verdict(n, "failed", error=text) for n, text in enumerate(ODD)]
    record(store, experiment_id, runs + errors, texts + failed)
    found, _ = store.results.runs(experiment_id)
    assert [run.output for run in found[::2]] == [{"text": text, "nul": "\x00"} for text in ODD]
    assert [run.error for run in found[1::2]] == ODD
    verdicts = store.results.evaluations(experiment_id)
    exact = [e for e in verdicts if e.name == "exact"]
    assert [(e.label, e.explanation, e.metadata["text"]) for e in exact] == [(text, text, text) for text in ODD]
    assert [e.error for e in verdicts if e.name == "failed"] == ODD


def test_what_no_database_takes_loses_no_row(store: Store) -> None:
    """An error's text is whatever the task's libraries raised: it must never cost the other rows."""
    bad, kept = "nul \x00 lone \udc80", "nul \u2400 lone \\udc80"
    experiment_id = new_experiment(store, 3).experiment.id
    given = verdict(0, name=f"e{bad}", label=bad, explanation=bad, error=bad, metadata_json=json.dumps({"a": "\x00"}))
    record(store, experiment_id, [run_row(0), failed_row(1, error=bad), run_row(2)], [given])
    assert [run.error for run in store.results.runs(experiment_id)[0]] == [None, kept, None]
    (found,) = store.results.evaluations(experiment_id)
    assert (found.name, found.label, found.explanation, found.error) == (f"e{kept}", kept, kept, kept)
    assert found.metadata == {"a": "\x00"}
    record(store, experiment_id, verdicts=[verdict(0, name=f"e{bad}", label="again")])  # the same name as before
    assert [e.label for e in store.results.evaluations(experiment_id)] == ["again"]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(categories=("L", "M", "N", "P", "S", "Z", "C")), min_size=1))
def test_any_text_is_kept(store: Store, text: str) -> None:
    experiment_id = new_experiment(store, 1).experiment.id
    record(store, experiment_id, [failed_row(0, error=text)])
    assert [run.error for run in store.results.runs(experiment_id)[0]] == [plain_text(text)]
