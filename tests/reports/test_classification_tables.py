"""What of a classification report becomes a matrix, a figure or a table."""

from __future__ import annotations

from dataclasses import asdict

from prefect_experiments.reports.confusion import classifications

REPORT = {
    "labels": ["yes", ""],
    "matrix": [[3, 1], [0, 0]],
    "n": 4,
    "n_left": 2,
    "kappa": 0.5,
    "kappa_ci_low": 0.1,
    "kappa_ci_high": 0.75,
    "share": 0.25,
    "share_ci_low": None,
    "share_ci_high": 0.5,
    "is_flagged": True,
    "unknown": float("nan"),
    "macro": {"f1": None, "n": 1200},
    "by_label": {"yes": {"f1": 0.5}, "no": {"f1": 1, "recall": 0.25}},
    "classes": [{"label": "yes", "f1": 1}, {"f1": 0.5}],
    "words": ["none", "of", "these"],
    "notes": ["a note", 3],
    "truth": "expected",
    "prediction": "output",
}


def test_a_report_is_a_matrix_its_figures_and_its_tables() -> None:
    several = classifications({"a": REPORT, "b": 3, "c": {"labels": [], "truth": "expected"}})
    assert [(one.name, one.fields, one.labels) for one in several] == [
        ("a", "output against expected", ["yes", "(empty)"]),
        ("c", "", []),
    ]
    first = asdict(several[0])
    assert first["rows"] == [
        {"label": "yes", "of": 4, "cells": [{"n": 3, "shade": 8, "hit": True}, {"n": 1, "shade": 2, "hit": False}]},
        {"label": "(empty)", "of": 0, "cells": [{"n": 0, "shade": 0, "hit": False}, {"n": 0, "shade": 0, "hit": True}]},
    ]
    assert [tuple(figure.values()) for figure in first["figures"]] == [
        ("compared", "4", ""),
        ("left", "2", ""),
        ("kappa", "0.50", "[0.10, 0.75]"),
        ("share", "0.25", ""),
    ]
    assert {table["name"]: [tuple(row.values()) for row in table["rows"]] for table in first["tables"]} == {
        "by label": [("yes", ["0.50", "-"]), ("no", ["1", "0.25"])],
        "classes": [("yes", ["1"]), ("1", ["0.50"])],
        "averages": [("macro", ["-", "1,200"])],
    }
    assert [table["columns"] for table in first["tables"]] == [["f1", "recall"], ["f1"], ["f1", "n"]]
    assert first["notes"] == ["a note", "3"]


def test_a_single_report_has_no_name_and_what_is_none_is_nothing() -> None:
    assert [one.name for one in classifications(REPORT)] == [""]
    assert classifications(None) == []
    long = classifications({"labels": ["x" * 60, "x" * 61], "matrix": [[1, 0], [0, 1]]})[0].labels
    assert long == ["x" * 60, "x" * 59 + "…"]
