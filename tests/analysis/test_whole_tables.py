"""A whole table: its side, its entries, the values of its examples' fields, and how these are written."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_experiments.analysis.example_facts import ExampleFacts, Fields, near, written
from prefect_experiments.analysis.fields import known_fields, select, values_of
from prefect_experiments.analysis.label_texts import counted, quoted, say_more_than_scores
from prefect_experiments.analysis.passing import passing
from prefect_experiments.analysis.results import result_table
from prefect_experiments.errors import InvalidInput

from .tables import figures

ROWS: dict[str, list[Any]] = {
    "example_id": ["a", "b", "c", "a", "b"],
    "repetition_number": [1, 1, 1, 2, 2],
    "error": [None, None, "Boom", None, None],
    "latency_ms": [10.0, 30.0, 5.0, None, 50.0],
    "total_cost": [0.1, None, 0.2, 0.3, None],
    "eval.judge.score": [1, 0.5, 1, 0.0, None],
    "eval.judge.error": [None, None, None, None, "Boom"],
    "eval.judge.total_cost": [0.01] * 5,
    "eval.tone.label": ["kind", "rude", None, "kind", None],
    "eval.wait.score": [None, 1, 1, 0.5, None],
    "eval.wait.metadata.pending": ["Is it?", None, None, None, "Is it?"],
}


def test_a_side() -> None:
    table = result_table(ROWS)
    side = table.side()
    text = """
        label results, experiment_id , dataset_id , dataset_version_id , n_examples 3, n_expected 5, n_runs 5,
        n_errors 1, metrics {'judge': {'n_examples': 2, 'n_scores': 3, 'n_errors': 2, 'mean': 0.5, 'n_asked': 3,
        'n_asked_runs': 5}, 'wait': {'n_examples': 2, 'n_scores': 2, 'n_errors': 1, 'mean': 0.75, 'n_asked': 3,
        'n_asked_runs': 3}}, labels_only (tone), labels {'tone': {'kind': 2, 'rude': 1}}, pending {'wait': 2},
        latency_p95_ms 48, n_latencies 3, total_cost 0.6, n_costs 2
    """
    assert figures(side) == " ".join(text.split())
    assert {name: values.tolist() for name, values in side.measured.items()} == {
        "judge": [0.5, 0.5], "wait": [0.5, 1.0], " latencies": [10.0, 30.0, 50.0], " costs": [0.4, 0.2],
    }  # fmt: skip
    assert table.source.judge_cost() == pytest.approx(0.05)


def test_entries() -> None:
    found = passing(ROWS, 0.6)
    assert [figures(entry) for entry in found.entries[2:]] == [
        "number 3, example_id c, outcome failed, why the task failed, error Boom"
    ]
    assert [
        [(one.evaluator, one.outcome, one.score, one.why, one.criteria, one.repetition_number) for one in entry.scores]
        for entry in found.entries
    ] == [
        [
            ("judge", "failed", 0.0, "", None, 2),
            ("tone", "failed", None, "gave the label 'kind' and no score", None, 1),
            ("wait", "failed", 0.5, "", None, 2),
        ],
        [
            ("judge", "failed", None, "failed", None, 2),
            ("tone", "failed", None, "gave the label 'rude' and no score", None, 1),
            ("wait", "pending", None, "is pending", "Is it?", 2),
        ],
        [],
    ]
    assert (found.rule, found.n_passed, found.n_pending, found.n_unjudged) == ("all scores >= 0.6", 0, 1, 0)
    assert found.listed(range(3)) == (
        "a (judge 0.00, tone gave the label 'kind' and no score, wait 0.50), b (judge failed, tone "
        "gave the label 'rude' and no score), c (the task failed)"
    )
    assert found.listed(range(3), shown=2).endswith(" and 1 other")


def test_fields_of_examples_that_make_groups() -> None:
    a = {
        "t": 1, "u": {"v": 1.0, "w": {"x": 1, "y": {"z": 1, "q": {"r": 1}}}},
        "l": ["p", "q", "p", {"a": 1}], "n": None, "long": "x" * 101, "ok": "x" * 100,
    }  # fmt: skip
    facts = [
        ExampleFacts("a", a, ("s1", "s2")),
        ExampleFacts("b", {"t": "1", "u.v": True, "u": {"v": 2}, "l": []}, ()),
        *(ExampleFacts(f"c{i}", {"id": i, "fifty": i % 50}, ("s1",)) for i in range(51)),
    ]
    found = Fields.of(facts)
    assert found.ungrouped == {"metadata.long": "it holds long texts", "metadata.id": "it has more than 50 values"}
    assert {name: dict(list(values.items())[:2]) for name, values in found.values.items()} == {
        "splits": {"a": ("s1", "s2"), "c0": ("s1",)},
        "metadata.t": {"a": ("1",), "b": ("1",)},
        "metadata.u.v": {"a": ("1",), "b": ("true", "2")},
        "metadata.u.w.x": {"a": ("1",)},
        "metadata.u.w.y.z": {"a": ("1",)},
        "metadata.l": {"a": ("p", "q")},
        "metadata.ok": {"a": ("x" * 100,)},
        "metadata.fifty": {"c0": ("0",), "c1": ("1",)},
    }
    assert found.unknown("metadata.tt") == (
        "no example has 'metadata.tt'; did you mean 'metadata.t'? There are: splits, metadata.t, metadata.u.v, "
        "metadata.u.w.x, metadata.u.w.y.z, metadata.l, metadata.ok, metadata.fifty, metadata.long, metadata.id"
    )
    assert near("b", []) == ". There are: none"
    assert near("zz", [f"k{i}" for i in range(11)]) == ". There are: k0, k1, k2, k3, k4, k5, k6, k7, k8, k9 and 1 more"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"), (1.0, "1"), (-2.0, "-2"), (0.5, "0.5"), (9e15, "9000000000000000"), (1e16, "1e+16"),
        (-1e16, "-1e+16"), (float("inf"), "inf"), (float("nan"), ""), (None, ""), (" a ", "a"), ("1.0", "1.0"),
    ],
)  # fmt: skip
def test_a_value_is_compared_as_it_is_written(value: Any, text: str) -> None:
    assert written(value) == text


def test_counts_of_labels() -> None:
    assert counted({"a": 5, "b": 1200}) == "b 1,200, a 5"
    assert counted({"a": 1, "b": 3}, {"a": 4}) == "a 1 → 4, b 3 → 0"
    assert counted({f"l{i}": i for i in range(1, 7)}) == "l6 6, l5 5, l4 4, l3 3, l2 2, l1 1"
    assert counted({f"l{i}": i for i in range(9)}) == "l8 8, l7 7, l6 6, l5 5, l4 4, l3 3, 3 more labels"
    assert [quoted(text) for text in ("polite", "yes", "No", "a b", "x" * 40, "x" * 41, "1a", "n")] == [
        "polite", '"yes"', '"No"', '"a b"', "x" * 40, "…", '"1a"', '"n"',
    ]  # fmt: skip
    assert [say_more_than_scores(labels) for labels in (["True", "(no label)"], ["True", "x"], [])] == [
        False, True, False,
    ]  # fmt: skip


def test_each_run_counts_in_one_place() -> None:
    found = select([1, None, 2, None, 3, 4], [1, None, None, 2, 3, 4], [False, True, False, False, True, False])
    assert (found.n_rows, found.used, found.n_errors, found.n_missing_reference, found.n_missing_other) == (
        6, (0, 5), 1, 2, 1,
    )  # fmt: skip
    assert found.of("abcdef") == ["a", "f"]


def test_a_field_is_a_column_or_what_is_below_it() -> None:
    rows = [{"x": {"a": {"b": {"c": 1}}}, "x.a": {"b": 2}, "y": None}, {"x": None, "x.a": {"d": 3}, "y": None}]
    assert values_of(rows, "x.a.b", "truth") == [2, None]
    assert values_of(rows, "x", "truth") == [{"a": {"b": {"c": 1}}}, None]
    assert values_of(rows, "y.z", "truth") == [None, None]
    assert known_fields(rows) == ["x", "x.a", "x.a.b", "y", "x.a.d"]
    assert known_fields([{"v": {"k": {"l": {"m": 1}}}}]) == ["v", "v.k", "v.k.l"]
    with pytest.raises(InvalidInput, match=r"unknown truth field 'x\.a\.e'; did you mean 'x\.a\.\w'\?"):
        values_of(rows, "x.a.e", "truth")
    with pytest.raises(InvalidInput, match="unknown truth field 'z'"):
        values_of(rows, "z", "truth")
