"""Whoever reads a results table reads it alike: `log`, `compare`, the report and the label metrics.

Each table is given to all four. They refuse it with one and the same sentence, or understand the same of it.
"""

from __future__ import annotations

import enum
import math
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from prefect_experiments import Client, classification_report, meta_evaluation, repetition_summary
from prefect_experiments.analysis.results import result_table
from prefect_experiments.errors import InvalidInput
from prefect_experiments.reports.files import write_report
from prefect_experiments.texts import plain_text

IDS = ["e0", "e1", "e2"]
TRACE = "0af7651916cd43dd8448eb211c80319c"
FAILED = "failed; the results give no reason"


class State(enum.Enum):
    GOOD = "ok"
    BAD = "failed"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    opened = Client(backend="local", store_url=f"sqlite:///{tmp_path_factory.mktemp('store') / 'e.db'}")
    opened.datasets.create_dataset(name="d", examples=[{"id": name, "input": name} for name in IDS])
    return opened


def rows_with(column: str, cell: Any) -> list[dict[str, Any]]:
    """Three rows; the cell stands in the second of them, and the others have none."""
    rows: list[dict[str, Any]] = [
        {
            "example_id": name,
            "output": "x",
            "truth": "x",
            "guess": "x",
            "eval.a.score": 1.0,
            "eval.a.label": "l",
            "annotation.b.score": 1,
        }
        for name in IDS
    ]
    for row in rows:
        row.setdefault(column, 1 if column == "repetition_number" else None)
    rows[1][column] = cell
    return rows


def plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def of_log(client: Client, source: Any) -> list[dict[str, Any]]:
    """What is kept of each run."""
    made = client.experiments.create(
        name=uuid.uuid4().hex, dataset="d", experiment_runs=source, allow=("unknown", "missing", "doubled")
    )
    frame = client.experiments.list_runs(experiment=made, all=True).to_df()
    client.experiments.delete(experiment=made.id)
    return [{name: plain(value) for name, value in row.items()} for row in frame.to_dict(orient="records")]


def of_comparison(source: Any) -> list[dict[str, Any]]:
    frame = result_table(source).frame
    return [{name: plain(value) for name, value in row.items()} for row in frame.to_dict(orient="records")]


def labels_of(source: Any) -> tuple[int, int, int]:
    """How many runs have failed, to each of the label metrics."""
    classes = classification_report(source, truth="truth", prediction="guess")
    agreement = meta_evaluation(source, evaluator="guess", human="truth")
    repeated = repetition_summary(source, metric="a", threshold=0.5)
    return classes.n_errors, agreement.n_errors, repeated.n_task_errors


COMPARED = ("example_id", "repetition_number", "output", "status", "error", "latency_ms", "token_count", "total_cost")


def agreed(client: Client, tmp_path: Path, source: Any) -> list[dict[str, Any]] | str:
    """What all of them understand of a table, or the sentence with which all refuse it."""
    found: list[Any] = []
    for read in (
        lambda: of_log(client, source),
        lambda: of_comparison(source),
        lambda: write_report(source, tmp_path / "page.html"),
        lambda: labels_of(source),
    ):
        try:
            found.append(read())
        except InvalidInput as error:
            found.append(str(error))
    logged, compared, _, failed = found
    if any(isinstance(one, str) for one in found):
        assert len(set(map(str, found))) == 1, found
        return str(logged)
    compared = [row for row in compared if row["example_id"] in IDS]
    compared.sort(key=lambda row: (row["example_id"], row["repetition_number"]))
    for one, other in zip(logged, compared, strict=True):
        for name in COMPARED:
            if name in other:
                assert one[name] == (pytest.approx(other[name]) if name == "latency_ms" else other[name]), name
        for name in other:
            if name.startswith(("eval.", "annotation.")) and name in one and one["status"] == "ok":
                kept = plain_text(other[name]) if isinstance(other[name], str) else other[name]
                assert one[name] == kept, name  # a store makes NUL visible
    n_failed = sum(row["status"] == "error" for row in logged)
    assert failed == (n_failed, n_failed, n_failed)
    return logged  # type: ignore[no-any-return]


# A column, a cell of it, and what is understood: in the column itself or, for a pair, in the one it names.
UNDERSTOOD: list[tuple[str, Any, Any]] = [
    *(("error", cell, None) for cell in (None, "", "  ", False, 0, 0.0, "False", "false", "0", math.nan, pd.NA)),
    *(("error", cell, None) for cell in ("nan", "NaN", "None", "null", "N/A", "<NA>", [], {}, np.bool_(False))),
    *(("error", cell, None) for cell in ("no", "No", " NO ", "n", "f", "-", " — ")),
    *(("error", cell, FAILED) for cell in (True, "True", 1, "1", np.True_, "yes", "Y", "t")),
    ("error", "ValueError: no", "ValueError: no"),
    ("error", "no such file", "no such file"),
    ("error", ValueError("x"), "ValueError: x"),
    ("error", ExceptionGroup("g", [ValueError("x")]), "ExceptionGroup: g (1 sub-exception): ValueError: x"),
    ("error", Path("a/b"), "a/b"),
    ("error", {"type": "ValueError"}, '{"type":"ValueError"}'),
    *(("status", cell, "ok") for cell in (None, "", "ok", "OK", "success", "Succeeded", " completed ", State.GOOD)),
    *(("status", cell, "ok") for cell in (math.nan, "nan", "UNSET")),
    *(("status", cell, "error") for cell in ("error", "ERROR", "failed", "Failure", State.BAD)),
    *(("latency_ms", cell, 245) for cell in (245, 245.0, "245", " 245.0 ", np.float32(245), Decimal(245))),
    *(("latency_ms", cell, None) for cell in (None, "", math.nan, "nan", "NA", pd.NaT, Decimal("NaN"))),
    *(("token_count", cell, 7) for cell in (7, 7.0, "7", "7.0", np.int64(7))),
    ("token_count", 0, 0),
    ("total_cost", "0.25", 0.25),
    ("trace_id", TRACE, TRACE),
    ("trace_id", str(uuid.UUID(TRACE)).upper(), TRACE),
    ("trace_id", uuid.UUID(TRACE), TRACE),
    *(("trace_id", cell, ("metadata.trace_id", cell)) for cell in ("our own", "abc123", TRACE[:-1] + "z")),
    *(("eval.a.score", cell, 1) for cell in (True, 1, 1.0, "1", "true", "True", np.True_, Decimal(1))),
    *(("eval.a.score", cell, 0) for cell in (False, 0, "False", "-0.0")),
    *(("eval.a.score", cell, None) for cell in (None, "", "nan", math.nan, "None", pd.NA)),
    *((column, 0.5, (f"metadata.{column}", 0.5)) for column in ("eval.score", "eval..score")),
    ("eval.a.label", 7.0, "7"),
    ("eval.a.label", True, "True"),
    ("eval.a.label", State.GOOD, "ok"),
    ("eval.a.label", None, None),
    ("eval.a.explanation", ["one", "two"], '["one","two"]'),
    ("eval.a.explanation", Path("a/b"), "a/b"),
    ("eval.a.error", "Boom", "Boom"),
    ("eval.a.error", KeyError("x"), "KeyError: 'x'"),
    ("eval.a.error", "no", None),
    ("latency_ms", "-", None),
    ("eval.a.error", False, None),
    ("eval.a.error", True, FAILED),
    ("annotation.b.score", "0.5", 0.5),
    ("annotation.b.label", 3, "3"),
    ("output", float("nan"), None),
    ("output", "", ""),
    ("output", np.array([1, 2]), [1, 2]),
    ("output", "{'a': 1}", "{'a': 1}"),
    ("metadata", '{"topic": 1}', ("metadata.topic", 1)),
    ("model", "m", ("metadata.model", "m")),
    ("start_time", datetime(2025, 1, 1, tzinfo=UTC), ("status", "ok")),
    ("end_time", "2025-01-01T00:00:00Z", ("status", "ok")),
]


def shown(value: Any) -> str:
    """A value in a test's name, the same in each of the processes that run the tests."""
    return "object" if type(value) is object else repr(value)


@pytest.mark.parametrize(("column", "cell", "meant"), UNDERSTOOD, ids=shown)
def test_all_understand_the_same(client: Client, tmp_path: Path, column: str, cell: Any, meant: Any) -> None:
    name, value = meant if isinstance(meant, tuple) else (column, meant)
    found = agreed(client, tmp_path, rows_with(column, cell))
    assert not isinstance(found, str), found
    assert found[1][name] == value
    if column in ("error", "status"):
        assert [row["status"] for row in found] == ["ok", found[1]["status"], "ok"]
        assert (found[1]["status"] == "ok") == (value in (None, "ok"))


REFUSED: list[tuple[str, Any, str]] = [
    ("error", 0.5, "column 'error', row 2: 0.5 is a number; an error is a text, blank where there is none"),
    ("error", "404", "column 'error', row 2: '404' is a number"),
    ("error", "half \ud83d", "row 2 holds a lone surrogate"),
    (
        "status",
        "passed",
        "Known: ok, success, succeeded, completed, unset, error, failed, failure. If it means something else, rename "
        "the column, and it is kept as metadata",
    ),
    ("status", True, "unknown status 'True'"),
    ("status", 200, "unknown status '200'"),
    ("latency_ms", -5, "column 'latency_ms', row 2 must be milliseconds from 0 on, got -5"),
    ("latency_ms", "fast", "row 2: 'fast' is not a number. Leave empty what is missing"),
    ("latency_ms", True, "row 2: True is a truth value, not a number"),
    ("latency_ms", b"5", "is not a number"),
    ("latency_ms", pd.Timedelta("1s"), "is not a number"),
    ("latency_ms", "inf", "'inf' is infinite"),
    ("token_count", 1.5, "must be a whole number from 0 to 2,147,483,647, got 1.5"),
    ("token_count", -1, "must be a whole number from 0"),
    ("token_count", False, "False is a truth value"),
    ("total_cost", -0.1, "must be US dollars from 0 on, got -0.1"),
    ("total_cost", "1 $", "'1 $' is not a number"),
    ("repetition_number", 0, "must be a whole number from 1 to 1,000"),
    ("repetition_number", None, "column 'repetition_number', row 2 is empty; repetitions count from 1"),
    ("repetition_number", True, "is a truth value"),
    ("example_id", True, "column 'example_id', row 2: the id must be text or a whole number, got a truth value"),
    ("example_id", None, "column 'example_id', row 2 is empty; every row needs the id of its example"),
    ("example_id", "  ", "column 'example_id', row 2 is empty"),
    ("example_id", "a\x00b", "NUL"),
    ("example_id", 2.0**60, "has lost digits"),
    ("eval.a.score", "high", "column 'eval.a.score', row 2: 'high' is not a number"),
    ("eval.a.score", "1_0", "'1_0' is not a number"),
    ("eval.a.score", [1], "is not a number"),
    ("eval.a.score", float("inf"), "inf is infinite; a number must be finite"),
    ("eval.a.label", ["x"], "column 'eval.a.label', row 2 must be text, got a value of type list"),
    ("eval.a.error", 3, "3 is a number"),
    ("annotation.b.score", "good", "'good' is not a number"),
    ("annotation.b.label", {}, "must be text"),
    ("output", object(), "object is not JSON. Convert it to text, a number, a list or an object first; None (null)"),
    ("output", {"a": [math.nan]}, "nan at ['a'][0] is not JSON"),
    ("output", "half \ud83d", "lone surrogate"),
    ("metadata", "text", "must be an object, or the JSON text of one"),
    ("model", object(), "column 'model', row 2: object is not JSON"),
    ("start_time", 17, "17 is no time"),
    ("start_time", "1969-12-31T23:59:59Z", "'1969-12-31T23:59:59Z' is no time that a run can have been made at"),
    ("end_time", "noon", "'noon' is no time"),
]


@pytest.mark.parametrize(("column", "cell", "said"), REFUSED, ids=shown)
def test_all_refuse_with_one_sentence(client: Client, tmp_path: Path, column: str, cell: Any, said: str) -> None:
    found = agreed(client, tmp_path, rows_with(column, cell))
    assert isinstance(found, str), found
    assert found.startswith("the results: ")
    assert said in found


def test_columns_as_ax_has_them(client: Client, tmp_path: Path) -> None:
    rows = [
        {
            "example_id": name,
            "output": "x",
            "truth": "x",
            "guess": "x",
            "execution_status": status,
            "exceptions": "Boom" if status == "FAILED" else "",
            "latency": 120.5,
            "result.trace.id": TRACE,
            "result.trace.timestamp": 1_750_000_000_000,
            "eval.a.score": 1.0,
        }
        for name, status in zip(IDS, ["COMPLETED", "FAILED", "COMPLETED"], strict=True)
    ]
    found = agreed(client, tmp_path, rows)
    assert not isinstance(found, str), found
    assert [row["status"] for row in found] == ["ok", "error", "ok"]
    assert {(row["latency_ms"], row["trace_id"]) for row in found} == {(120.5, TRACE)}
    assert result_table(rows).operations["latency_ms"].tolist() == [120.5] * 3


cells = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2**33), st.floats(), st.text(max_size=4), st.dates(), st.decimals(),
    st.sampled_from(["nan", "None", "True", "0", "failed", "OK", "-1", "1e3", TRACE, "2025-01-01", "{}"]),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip
columns = st.sampled_from(
    [
        *("example_id", "repetition_number", "status", "error", "latency_ms", "token_count", "total_cost", "trace_id"),
        *("start_time", "end_time", "output", "input", "expected", "metadata", "metadata.k", "other"),
        *("eval.a.score", "eval.a.label", "eval.a.explanation", "eval.a.error", "eval.a.metadata.k", "eval.b.c.score"),
        *("annotation.b.score", "annotation.b.label", "annotation.b.text"),
    ]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(column=columns, cell=cells)
@example(column="error", cell="\x00")
@example(column="eval.a.label", cell="a\x00")
@example(column="eval.a.score", cell=1.6050831561270677e308)
@example(column="eval.a.score", cell=-1.7976931348623157e308)
@example(column="eval.a.score", cell=5e-324)
@example(column="latency_ms", cell=9.9e11)
def test_all_agree_on_anything(client: Client, tmp_path: Path, column: str, cell: Any) -> None:
    agreed(client, tmp_path, rows_with(column, cell))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "frame", "arrow"])
def test_whatever_the_table_comes_in(client: Client, tmp_path: Path, suffix: str) -> None:
    """Truth values, counts and scores mean the same in a file that has types and in one that has none."""
    frame = pd.DataFrame(
        {
            "example_id": IDS,
            "output": ["x", "y", "x"],
            "truth": ["x", "x", "x"],
            "guess": ["x", "x", "x"],
            "error": [False, True, False],
            "status": ["OK", None, "success"],
            "latency_ms": [245, 30, 1],
            "token_count": [5.0, None, 7.0],
            "eval.a.score": [True, False, True],
            "eval.a.label": ["yes", None, "no"],
        }
    )
    source: Any = frame
    if suffix == "arrow":
        source = pa.Table.from_pandas(frame)
    elif suffix != "frame":
        source = tmp_path / f"rows.{suffix}"
        if suffix == "csv":
            frame.to_csv(source, index=False)
        elif suffix == "parquet":
            frame.to_parquet(source)
        else:
            frame.to_json(source, orient="records", lines=True)
    found = agreed(client, tmp_path, source)
    assert not isinstance(found, str), found
    assert [row["status"] for row in found] == ["ok", "error", "ok"]
    assert [row["token_count"] for row in found] == [5, None, 7]
    assert [row["eval.a.score"] for row in found] == [1, None, 1]
    assert [row["eval.a.label"] for row in found] == ["yes", None, "no"]


def test_an_example_that_stands_in_two_rows_is_refused_by_all(client: Client, tmp_path: Path) -> None:
    rows = rows_with("output", "x")
    rows[2]["example_id"] = "e1"
    readers: list[Callable[[], Any]] = [
        lambda: client.experiments.create(name="twice", dataset="d", experiment_runs=rows, allow=("missing",)),
        lambda: result_table(rows),
        lambda: write_report(rows, tmp_path / "page.html"),
        lambda: classification_report(rows, truth="truth", prediction="guess"),
        lambda: meta_evaluation(rows, evaluator="guess", human="truth"),
        lambda: repetition_summary(rows, metric="a", threshold=0.5),
    ]
    for row in rows:
        row["repetition_number"] = 1
    for read in readers:
        with pytest.raises(InvalidInput, match=r"'e1'.*row.* 2.* 3\b"):
            read()
    rows[2]["repetition_number"] = 2
    assert repetition_summary(rows, metric="a", threshold=0.5).repetitions == 2


def test_one_example_that_differs_leans_nowhere() -> None:
    """An exact test of a single example cannot be below 1; it used to end in a traceback."""
    rows = [
        {"example_id": name, "repetition_number": number, "truth": truth, "guess": guess}
        for name, truth, guess in [("a", True, True), ("b", False, False), ("c", False, True)]
        for number in (1, 2)
    ]
    labels = meta_evaluation(rows, evaluator="guess", human="truth").labels
    assert labels is not None
    assert labels.bias_p_value == 1.0


def test_a_row_with_nothing_in_it_is_no_run(client: Client, tmp_path: Path) -> None:
    """The rows are named as they stand in the file."""
    path = tmp_path / "rows.csv"
    path.write_text('example_id,output,truth,guess,eval.a.score\ne0,x,x,x,1\n,,,,\ne1,x,x,x,0\n  ,"",,\ne2,x,x,x,1\n')
    found = agreed(client, tmp_path, path)
    assert not isinstance(found, str), found
    assert [(row["example_id"], row["eval.a.score"]) for row in found] == [("e0", 1), ("e1", 0), ("e2", 1)]
    path.write_text("example_id,output,truth,guess,eval.a.score\ne0,x,x,x,1\n,,,,\ne1,x,x,x,bad\n")
    assert "column 'eval.a.score', row 3: 'bad' is not a number" in str(agreed(client, tmp_path, path))


def test_no_cell_depends_on_another_row(client: Client, tmp_path: Path) -> None:
    rows = rows_with("trace_id", TRACE)
    rows[0]["trace_id"] = "our own"
    found = agreed(client, tmp_path, rows)
    assert not isinstance(found, str), found
    assert [row["trace_id"] for row in found] == [None, TRACE, None]
    assert [row.get("metadata.trace_id") for row in found] == ["our own", None, None]


def test_an_empty_cell_of_a_csv_file_is_no_label(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("example_id,output,expected,human\na,x,x,x\nb,,x,x\nc,x,,\nd,y,x,y\n")
    by_expected = classification_report(path, truth="expected")
    assert (by_expected.n, by_expected.n_correct, by_expected.n_missing_truth) == (3, 1, 1)  # no answer is a wrong one
    by_people = classification_report(path, truth="human")
    assert (by_people.n, by_people.n_correct, by_people.n_missing_truth) == (3, 2, 1)


def test_a_float_beyond_the_whole_numbers_that_it_holds_is_no_whole_number() -> None:
    """pandas makes floats of whole numbers where one is missing; from 2 to the 53rd on they are others by then."""
    rows = [{"example_id": "a", "output": "x", "eval.judge.label": label} for label in (2.0**53 - 1, 2.0**53)]
    found = [result_table([row]).frame["eval.judge.label"].iloc[0] for row in rows]
    assert found == ["9007199254740991", "9007199254740992.0"]
