"""Whatever is logged comes back; and what came back can be logged again, from a table or a file, with equal values."""

from __future__ import annotations

import math
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_experiments import Client
from prefect_experiments.errors import InvalidDataset

IDS = [f"e{n}" for n in range(3)]
EVALUATORS = ["right", 'the "best" \\ judge', "judge.v2", "score", "größe 裁"]

# What SQLite and PostgreSQL both give back as it was: no lone surrogates, and NUL is shown as its sign.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
said = texts.filter(lambda text: bool(text.strip()))
errors = said.map("ValueError: {}".format)  # a number, or a word for nothing, would be no reason
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)


@st.composite
def a_run(draw: st.DrawFn) -> dict[str, Any]:
    """A row as people may give it, with what is to come back of it."""
    failed = draw(st.booleans())
    row: dict[str, Any] = {
        "output": None if failed else draw(values),
        "error": draw(errors) if failed else None,
        "latency_ms": draw(st.none() | st.integers(0, 10**6) | st.floats(0, 1e6)),
        "token_count": draw(st.none() | st.integers(0, 2**31 - 1)),
        "total_cost": draw(st.none() | st.floats(0, 1e6)),
        "trace_id": draw(st.none() | st.text("0123456789abcdef", min_size=32, max_size=32)),
    }
    for key in draw(st.lists(st.sampled_from(["model", 'a "b" \\ c', "x.y", "input", "ü"]), unique=True)):
        row[f"metadata.{key}"] = draw(values)
    for name in [] if failed else draw(st.lists(st.sampled_from(EVALUATORS), unique=True)):
        if draw(st.booleans()):
            row[f"eval.{name}.error"] = draw(errors)
        else:
            row[f"eval.{name}.score"] = draw(st.none() | numbers)
            row[f"eval.{name}.label"] = draw(st.none() | texts)
            row[f"eval.{name}.explanation"] = draw(st.none() | texts)
        row[f"eval.{name}.token_count"] = draw(st.none() | st.integers(0, 2**31 - 1))
        row[f"eval.{name}.total_cost"] = draw(st.none() | st.floats(0, 1e6))
    return row


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows for every example and repetition, in any order."""
    repetitions = draw(st.integers(1, 2))
    rows = [
        {"example_id": example_id, "repetition_number": number, **draw(a_run())}
        for example_id in IDS
        for number in range(1, repetitions + 1)
    ]
    return list(draw(st.permutations(rows)))


@pytest.fixture
def dataset(client: Client) -> str:
    client.datasets.create_dataset(name="d", examples=[{"id": i, "input": {"of": i}, "output": i} for i in IDS])
    return "d"


def log(client: Client, dataset: str, source: Any, types: dict[str, str] | None = None) -> pd.DataFrame:
    """Log it as a new experiment, and read it back."""
    made = client.experiments.create(name=uuid.uuid4().hex, dataset=dataset, experiment_runs=source, types=types)
    return client.experiments.list_runs(experiment=made, all=True).to_df()


def is_same(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(is_same, left, right))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left) and math.isnan(right):
        return True
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def assert_same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    """Equal in all but the ids of the runs."""
    assert set(left.columns) == set(right.columns)
    for name in left.columns.drop("id"):
        for one, other in zip(left[name].tolist(), right[name].tolist(), strict=True):
            assert is_same(one, other), (name, one, other)


def nothing_as_none(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables())
def test_what_is_logged_comes_back(client: Client, dataset: str, rows: list[dict[str, Any]]) -> None:
    found = {
        (row["example_id"], row["repetition_number"]): {key: nothing_as_none(value) for key, value in row.items()}
        for row in log(client, dataset, rows).to_dict(orient="records")
    }
    assert len(found) == len(rows)
    for row in rows:
        came = found[row["example_id"], row["repetition_number"]]
        assert came["input"] == {"of": row["example_id"]}
        assert came["status"] == ("ok" if row["error"] is None else "error")
        for key, value in row.items():
            assert is_same(came.get(key), value), (key, came.get(key), value)


@pytest.mark.thorough
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables(), suffix=st.sampled_from(["frame", "records", "json", "jsonl"]))
def test_what_came_back_can_be_logged_again(
    client: Client, dataset: str, tmp_path: Path, rows: list[dict[str, Any]], suffix: str
) -> None:
    first = log(client, dataset, rows)
    source: Any = first
    if suffix == "records":
        source = first.to_dict(orient="records")
    elif suffix != "frame":
        name = client.experiments.list(limit=1)[0]
        source = client.experiments.export(experiment=name, path=tmp_path / f"out.{suffix}")
    assert_same(first, log(client, dataset, source))


# CSV has no types: a column is of one sort, and the caller says of which. Parquet keeps them.
columns_of_a_file: list[tuple[str, st.SearchStrategy[Any]]] = [
    ("text", st.text("abc äß\"'\\,;|\n{[1", min_size=1, max_size=12).filter(str.strip)),
    ("json", st.dictionaries(texts, scalars, max_size=3) | st.lists(scalars, max_size=3)),
    ("number", st.integers(-(2**53), 2**53)),
    ("number", st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0)),
    ("bool", st.booleans()),
]


@pytest.mark.thorough
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(["csv", "parquet"]))
def test_an_exported_table_can_be_logged_again(
    client: Client, dataset: str, tmp_path: Path, data: st.DataObject, suffix: str
) -> None:
    output_type, outputs = data.draw(st.sampled_from(columns_of_a_file))
    extra_type, extra = data.draw(st.sampled_from(columns_of_a_file))
    types = {"output": output_type, "metadata.k": extra_type} if suffix == "csv" else None
    rows: list[dict[str, Any]] = []
    for example_id in IDS:
        row = {"example_id": example_id, "output": data.draw(outputs), "metadata.k": data.draw(extra)}
        row |= {"eval.a.score": data.draw(st.none() | numbers), "eval.a.label": data.draw(st.none() | said)}
        row |= {"annotation.n.text": data.draw(st.none() | said), "annotation.n.score": 1}
        rows.append(row)
    first = log(client, dataset, rows)
    name = client.experiments.list(limit=1)[0]
    path = client.experiments.export(experiment=name, path=tmp_path / f"out.{suffix}")
    assert_same(first, log(client, dataset, path, types))


def test_text_in_a_csv_file_stays_text(client: Client, dataset: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    for cells in (
        ['{"a":1}', "[]", '{"b":[null]}'],
        ["1", "2.5", "-3"],
        ["007", "1", "1e5"],
        ["True", "false", "None"],
        ["null", "NaN", " said "],
        ["said", "", "more"],
    ):
        pd.DataFrame({"example_id": IDS, "output": cells}).to_csv(path, index=False)
        assert log(client, dataset, path)["output"].tolist() == cells


def test_types_say_what_the_cells_of_a_csv_file_are(client: Client, dataset: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    cells = ['{"a": 1}', "[2]", "3"]
    pd.DataFrame({"example_id": IDS, "output": cells, "metadata.n": ["1", "", "2.5"]}).to_csv(path, index=False)
    found = log(client, dataset, path, {"output": "json", "metadata.n": "number"})
    assert found["output"].tolist() == [{"a": 1}, [2], 3]
    assert [nothing_as_none(value) for value in found["metadata.n"]] == [1, None, 2.5]
    with pytest.raises(InvalidDataset, match=r"column 'metadata.n', row 1: '1' is no truth value"):
        log(client, dataset, path, {"metadata.n": "bool"})
