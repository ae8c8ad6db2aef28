"""Results that do not fit the dataset they are logged on: all that is wrong, with the rows and the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.models import Example
from prefect_experiments.results.matching import LogReport


@pytest.fixture
def client(tmp_path: Path) -> Client:
    made = Client(backend="local", store_url=f"sqlite:///{tmp_path / 'experiments.db'}")
    made.datasets.create_dataset(name="d", examples=[{"id": f"e{n}", "input": n} for n in range(3)])
    return made


CHECK = "Is it the right dataset, and the right column of ids?"
CORRECT = "Correct it, or allow it: "
UNKNOWN = "allow='unknown' leaves such rows out"
DOUBLED = "allow='doubled' takes the last row of each; or number them from 1 in a column 'repetition_number'"
MISSING = "allow='missing' leaves such examples without a run"


def rows(*ids: str, **more: Any) -> list[dict[str, Any]]:
    return [{"example_id": name, "output": 1, **more} for name in ids]


@pytest.mark.parametrize(
    ("given", "allow", "said"),
    [
        (
            rows("e0", "x", "e1", "y", "e2"),
            (),
            "2 rows have unknown ids: 'x' (row 2), 'y' (row 4). The ids of the dataset are such as 'e0', 'e1'. "
            f"{CHECK} {CORRECT}{UNKNOWN}",
        ),
        (
            rows("e0", "e1", "e2", *"uvwxyz"),
            "doubled",
            "6 rows have unknown ids: 'u' (row 4), 'v' (row 5), 'w' (row 6), 'x' (row 7), 'y' (row 8) and 1 more. "
            f"The ids of the dataset are such as 'e0', 'e1'. {CHECK} {CORRECT}{UNKNOWN}",
        ),
        (
            rows("e0", "e1", "e2", "x" * 60, "y" * 61),
            (),
            f"2 rows have unknown ids: '{'x' * 60}' (row 4), '{'y' * 59}…' (row 5). The ids of the dataset are such as "
            f"'e0', 'e1'. {CHECK} {CORRECT}{UNKNOWN}",
        ),
        (
            rows("e0", "e1", "e2", "e1", "e0", repetition_number=1),
            (),
            f"2 examples stand in several rows: 'e1' (rows 2, 4), 'e0' (rows 1, 5). {CORRECT}{DOUBLED}",
        ),
        (
            [*rows("e0", "e1", "e2"), *rows(*["e0"] * 5)],
            (),
            f"1 example stands in several rows: 'e0' (rows 1, 4, 5, 6, 7 and 1 more). {CORRECT}{DOUBLED}",
        ),
        (rows("e1"), (), f"2 examples have no result: 'e0', 'e2'. {CORRECT}{MISSING}"),
        (rows("e1", "e0"), (), f"1 example has no result: 'e2'. {CORRECT}{MISSING}"),
        (
            [*rows("e0", "e1", "e2", repetition_number=1), *rows("e2", "e2", "e0", repetition_number=2)],
            (),
            "1 example stands in several rows: 'e2 (repetition 2)' (rows 4, 5); "
            f"1 example has no result: 'e1 (repetition 2)'. {CORRECT}{DOUBLED}; {MISSING}",
        ),
        (
            rows("x", "e0", "e0"),
            ("doubled", "missing"),
            "1 row has an unknown id: 'x' (row 1). The ids of the dataset are such as 'e0', 'e1'. "
            f"{CHECK} {CORRECT}{UNKNOWN}",
        ),
        (
            rows("x"),
            ("unknown", "missing"),
            f"no row belongs to it. The ids of the dataset are such as 'e0', 'e1'. {CHECK}",
        ),
    ],
)
def test_what_does_not_fit(client: Client, given: list[dict[str, Any]], allow: Any, said: str) -> None:
    with pytest.raises(InvalidDataset) as refused:
        client.experiments.create(name="x", dataset="d", experiment_runs=given, allow=allow)
    assert str(refused.value) == f"the results: these results do not fit dataset 'd': {said}"


def test_all_that_is_left_out_is_counted(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.datasets.create_dataset(name="large", examples=[{"id": f"e{n}", "input": n} for n in range(20)])
    given = rows("e0", *(f"x{n}" for n in range(7)), *[f"e{n}" for n in range(1, 9)] * 2)
    client.experiments.create(name="x", dataset="large", experiment_runs=given, allow=("unknown", "doubled", "missing"))
    for said in ("7 rows of unknown ids", "8 rows doubled", "11 examples without a result"):
        assert said in caplog.text


def test_a_column_that_is_not_there(client: Client) -> None:
    with pytest.raises(InvalidDataset) as refused:
        client.experiments.create(name="x", dataset="d", experiment_runs=[{"example_id": "e0", "answer": 1}])
    assert str(refused.value) == (
        "the results: the output: unknown column 'output'. Known: example_id, answer. Name it with "
        "task_fields=ExperimentTaskFieldNames(example_id=..., output=...)"
    )


FITS: dict[str, Any] = {"rows": 3, "runs": 3, "failed": 0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"failed": 2, "metadata": ("model",)}, []),
        ({"unknown": ("x",)}, ["1 row of unknown ids left out"]),
        (
            {"unknown": ("x", "y"), "doubled": ("e0",), "missing": ("e1",), "unscored": 1},
            [
                "2 rows of unknown ids left out",
                "1 row doubled, of which the last was taken",
                "1 example without a result",
                "the scores of 1 failed run left out",
            ],
        ),
        (
            {"doubled": ("e0", "e1"), "missing": tuple(map(str, range(1000))), "unscored": 2},
            [
                "2 rows doubled, of which the last was taken",
                "1,000 examples without a result",
                "the scores of 2 failed runs left out",
            ],
        ),
    ],
)
def test_what_somebody_should_know_of_what_became_of_them(changes: dict[str, Any], said: list[str]) -> None:
    assert LogReport(**{**FITS, **changes}).notes() == said


def test_whole_numbers_that_became_floats_are_the_ids_that_a_dataset_has_of_them(client: Client) -> None:
    """A CSV reader makes 1.0 of 1 where another cell is empty; the ids of the dataset had it so as well."""
    client.datasets.create_dataset(name="floats", examples=[Example(id="1.0", input=1), Example(id="2", input=2)])
    made = client.experiments.create(name="x", dataset="floats", experiment_runs=rows("1", "2"))
    assert [run.example_id for run in client.experiments.list_runs(experiment=made, all=True)] == ["1.0", "2"]
