"""Results that do not fit the dataset they are logged on: all that is wrong, with the rows and the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.errors import InvalidDataset


@pytest.fixture
def client(tmp_path: Path) -> Client:
    made = Client(backend="local", store_url=f"sqlite:///{tmp_path / 'experiments.db'}")
    made.datasets.create_dataset(name="d", examples=[{"id": f"e{n}", "input": n} for n in range(3)])
    return made


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [{"example_id": name, "output": 1} for name in ("e0", "x", "e1", "y", "e2")],
            "2 rows have unknown ids: 'x' (row 2), 'y' (row 4). The ids of the dataset are such as 'e0', 'e1'",
        ),
        (
            [{"example_id": name, "repetition_number": 1, "output": 1} for name in ("e0", "e1", "e2", "e1", "e0")],
            "2 examples stand in several rows: 'e1' (rows 2, 4), 'e0' (rows 1, 5)",
        ),
        (
            [{"example_id": "e0", "answer": 1}],
            "the output: unknown column 'output'. Known: example_id, answer. Name it with "
            "task_fields=ExperimentTaskFieldNames(example_id=..., output=...)",
        ),
    ],
)
def test_what_does_not_fit(client: Client, rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(InvalidDataset) as refused:
        client.experiments.create(name="x", dataset="d", experiment_runs=rows)
    assert said in str(refused.value)
