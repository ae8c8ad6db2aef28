"""One side of a comparison, from whatever it can be given as; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from prefect_experiments.analysis.ran_experiment import RanExperiment
from prefect_experiments.analysis.results import result_table
from prefect_experiments.errors import InvalidDataset, InvalidInput
from prefect_experiments.store import EvaluatorRecord, Store
from tests.store.samples import failed_row, new_experiment, record, run_row, verdict

from .tables import columns, table

ROWS = [
    {"example_id": "a", "status": "ok", "output": "x", "latency_ms": 10.0, "eval.judge.score": 1.0},
    {"example_id": "b", "status": "ok", "output": "y", "latency_ms": 30.0, "eval.judge.score": 0.5},
    {"example_id": "c", "status": "error", "error": "ValueError: no", "latency_ms": 5.0, "eval.judge.score": 1.0},
]


def test_rows_columns_frames_and_files_are_all_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS)
    frame.to_csv(tmp_path / "nightly.csv", index=False)
    frame.to_parquet(tmp_path / "nightly.parquet")
    (tmp_path / "nightly.json").write_bytes(orjson.dumps(ROWS))
    (tmp_path / "nightly.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in ROWS))
    files = [tmp_path / f"nightly.{suffix}" for suffix in ("csv", "parquet", "json", "jsonl")]
    mapping = {name: frame[name].tolist() for name in frame}
    for source in (ROWS, mapping, frame, *files, str(files[0])):
        found = result_table(source)
        side = found.side()
        assert found.example_ids == ("a", "b", "c")
        assert found.failed.tolist() == [False, False, True]
        assert found.scores["judge"].tolist()[:2] == [1.0, 0.5]
        assert np.isnan(found.scores["judge"][2])  # a failed run has no score
        assert found.errors["judge"].tolist() == [False, False, True]
        assert (side.n_expected, side.n_runs, side.n_errors, side.n_examples) == (3, 3, 1, 3)
        assert (side.metrics["judge"].mean, side.metrics["judge"].n_errors) == (0.75, 1)
        assert side.latency_p95_ms == pytest.approx(29.0)  # numpy's percentile of the ok runs' 10 and 30
        assert side.label == ("nightly" if isinstance(source, str | Path) else "results")
    assert result_table(result_table(ROWS), "mine").label == "mine"


def test_the_given_frame_is_left_alone() -> None:
    frame = pd.DataFrame({"example_id": [1, 2], "eval.x.score": ["0.5", None]})
    before = frame.copy()
    result_table(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_ids_are_text_whatever_a_reader_made_of_them() -> None:
    for ids in (["1", "2"], [1, 2], [1.0, 2.0], np.array([1, 2])):
        assert result_table({"example_id": ids, "eval.x.score": [0, 1]}).example_ids == ("1", "2")


def test_scores_may_be_bools_texts_and_missing_in_many_ways() -> None:
    given = [True, False, "0.25", " 1 ", "", "nan", None, float("nan"), pd.NA, np.float32(0.5)]
    (scores,) = table(x=given).scores.values()
    assert scores[[0, 1, 2, 3, 9]].tolist() == [1.0, 0.0, 0.25, 1.0, 0.5]
    assert np.isnan(scores[4:9]).all()


def test_labels_without_scores_are_no_metric() -> None:
    found = result_table(
        {"example_id": [1, 2], "eval.tone.label": ["kind", "rude"], "eval.tone.score": [None, None]}
    )  # fmt: skip
    assert (dict(found.scores), found.labels_only) == ({}, ("tone",))
    assert result_table({"example_id": [1], "eval.tone.label": ["kind"]}).labels_only == ("tone",)
    broken = result_table({"example_id": [1, 2], "eval.tone.error": ["Boom", None]})
    assert broken.errors["tone"].tolist() == [True, False]


def test_an_evaluation_with_an_error_has_no_score() -> None:
    found = result_table({"example_id": [1, 2], "eval.x.score": [0.0, 1.0], "eval.x.error": ["Boom", ""]})
    assert np.isnan(found.scores["x"][0])
    assert found.errors["x"].tolist() == [True, False]


def test_repetitions_are_averaged_within_their_example() -> None:
    found = result_table({"example_id": ["a", "b", "a"], "repetition_number": [1, 1, 2], "eval.x.score": [1, 0, 0]})
    assert found.means(found.scores["x"]).tolist() == [0.5, 0.0]
    assert found.side().metrics["x"].mean == 0.25
    assert (found.side().n_examples, found.side().n_runs) == (2, 3)


REFUSED: list[tuple[Any, str]] = [
    ([], "no rows"),
    (pd.DataFrame({"example_id": []}), "no rows"),
    ({"id": [1], "eval.x.score": [1]}, "the id of the example: unknown column 'example_id'.*Known: id, eval.x.score"),
    (
        columns(["a", "b", "a"], x=[1, 2, 3]),
        "repetition 1 stands in row 1 and in row 3. Drop one, or add a column 'rep",
    ),
    (
        {"example_id": ["a", "a"], "repetition_number": [2, 2]},
        "repetition 2 stands in row 1 and in row 2. Drop one, or number the repetitions",
    ),
    (
        {"example_id": ["a"], "repetition_number": [0]},
        "row 1 must be a whole number from 1 to 1,000, got 0",
    ),
    ({"example_id": ["a"], "repetition_number": [None]}, "row 1 is empty; repetitions count from 1"),
    ({"example_id": ["a"], "repetition_number": [1.5]}, "got 1.5"),
    (columns(["a", None], x=[1, 2]), "'example_id', row 2 is empty"),
    (columns(["a", " "], x=[1, 2]), "'example_id', row 2 is empty"),
    (columns(x=[1, "good"]), "column 'eval.x.score', row 2: 'good' is not a number"),
    (columns(x=[1, [1]]), r"row 2: \[1\] is not a number"),
    (columns(x=["1_0"]), "row 1: '1_0' is not a number"),
    (columns(x=["z" * 99]), "row 1: 'z{38}… is not a number"),
    (columns(x=[1.0, float("inf")]), "column 'eval.x.score', row 2: inf is infinite"),
    (columns(x=["-inf"]), "row 1: '-inf' is infinite"),
    ({"example_id": ["a"], "latency_ms": ["fast"]}, "column 'latency_ms', row 1: 'fast' is not a number"),
    ({"example_id": ["a"], "status": ["eror"]}, "'status', row 1: unknown status 'eror'; did you mean 'error'"),
    (pd.DataFrame([[1, 2]], columns=["example_id", "example_id"]), "several columns are named 'example_id'"),
    ({"example_id": [1, 2], "x": [1]}, "a list for each column, all as long"),
    ([{"example_id": 1}, 3], "row 2 must be a mapping of column to value, got a value of type int"),
    (7, "got a value of type int"),
    ("nowhere.csv", "there is no file nowhere.csv"),
]


@pytest.mark.parametrize(("source", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_cannot_be_used_is_refused_with_the_place_and_the_value(source: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        result_table(source)


def test_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("example_id,eval.x.score\n1,0.5\n2,bad\n")
    with pytest.raises(InvalidDataset, match=r"bad\.csv: column 'eval\.x\.score', row 2: 'bad' is not a number"):
        result_table(path)


@pytest.fixture
def store() -> Any:
    opened = Store("sqlite://")
    yield opened
    opened.close()


def test_an_experiment_knows_which_runs_there_should_be(store: Store) -> None:
    kept = new_experiment(
        store, 5, repetitions=2, positions=[0, 1, 3], evaluators=[EvaluatorRecord("judge", "LLM", "a" * 64)]
    )
    runs = [run_row(0, 1), run_row(0, 2, total_cost=0.5), failed_row(1, 1)]
    verdicts = [verdict(0, "judge", score=1.0), verdict(0, "judge", 2, score=None, error="Boom")]
    record(store, kept.experiment.id, runs, verdicts)
    found = result_table(RanExperiment(store, kept))
    side = found.side()
    assert found.expected_ids == ("ex-0", "ex-1", "ex-3")
    assert (side.label, side.experiment_id, side.dataset_id) == (
        "experiment", kept.experiment.id, kept.experiment.dataset_id,
    )  # fmt: skip
    assert (side.n_examples, side.n_expected, side.n_runs, side.n_errors) == (3, 6, 3, 1)
    judge = side.metrics["judge"]
    assert (judge.n_scores, judge.n_examples, judge.n_errors, judge.mean) == (1, 1, 2, 1.0)
    assert (side.total_cost, side.n_costs, side.n_latencies) == (0.5, 1, 2)


def test_an_experiment_without_a_run_is_refused(store: Store) -> None:
    with pytest.raises(InvalidDataset, match=r"no rows; there is nothing to compare. Has the experiment run"):
        result_table(RanExperiment(store, new_experiment(store, 2)))
