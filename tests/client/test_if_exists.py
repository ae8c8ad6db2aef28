"""A dataset of a name that there is already: refused, used again, or given a version. All backends: `testing`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefect_experiments import Client
from prefect_experiments.cli.app import run
from prefect_experiments.errors import AlreadyExists, InvalidInput, InvalidSetting

ROWS: list[dict[str, Any]] = [{"input": f"question {n}", "output": n} for n in range(3)]


def test_a_cell_can_run_twice(client: Client) -> None:
    made = [
        client.datasets.create_dataset(name="questions", examples=ROWS, description=said, if_exists="reuse")
        for said in ("first", "second")
    ]
    assert made[0] == made[1]
    assert made[1].description == "first"
    assert len(client.datasets.list_versions(dataset="questions")) == 1


def test_numbers_of_other_libraries_are_the_examples_that_their_values_make(client: Client) -> None:
    """numpy's short floats are written in a way of their own, 0.000001 and 1e+13; read again they are as any others."""
    given = [np.float32(1e-6), np.float32(1e13), {"x": np.float32(0.1)}]
    made = client.datasets.create_dataset(
        name="numbers", examples=[{"id": str(n), "input": v} for n, v in enumerate(given)]
    )
    again = [{"id": example.id, "input": example.input} for example in made.examples]
    assert [row["input"] for row in again] == [1e-6, 1e13, {"x": 0.1}]
    assert client.datasets.create_dataset(name="numbers", examples=again, if_exists="new_version") == made
    assert len(client.datasets.list_versions(dataset="numbers")) == 1


def test_other_examples_are_refused_or_make_a_version(client: Client) -> None:
    first = client.datasets.create_dataset(name="questions", examples=ROWS)
    with pytest.raises(AlreadyExists, match="already"):
        client.datasets.create_dataset(name="questions", examples=ROWS)
    with pytest.raises(AlreadyExists, match=r"3 there and 2 given, .*if_exists='new_version'"):
        client.datasets.create_dataset(name="questions", examples=ROWS[:2], if_exists="reuse")
    second = client.datasets.create_dataset(name="questions", examples=ROWS[:2], if_exists="new_version")
    assert (second.id, len(second)) == (first.id, 2)
    assert len(client.datasets.get_dataset(dataset="questions", version_id="1")) == 3
    wrong: Any = "replace"
    with pytest.raises(InvalidSetting, match="if_exists"):
        client.datasets.create_dataset(name="questions", examples=ROWS, if_exists=wrong)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([0, 1], r"3 there and 2 given, 1 that it has and that are not given \('q2'\); if_exists"),
        ([0, 1, 2, 3], r"3 there and 4 given, 1 given that it does not have \('q3'\); if_exists"),
        ([0, 1, -2], r"3 there and 3 given, 1 given with another content than there \('q2'\); if_exists"),
    ],
)
def test_a_refusal_names_the_examples_that_differ(client: Client, given: list[int], said: str) -> None:
    rows = [{"id": f"q{abs(n)}", "input": n} for n in given]
    client.datasets.create_dataset(name="questions", examples=[{"id": f"q{n}", "input": n} for n in range(3)])
    with pytest.raises(AlreadyExists, match=said):
        client.datasets.create_dataset(name="questions", examples=rows, if_exists="reuse")
    with pytest.raises(AlreadyExists, match=r"already.*if_exists='reuse' \(--if-exists reuse\)"):
        client.datasets.create_dataset(name="questions", examples=rows)


def test_at_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.jsonl"

    def create(rows: list[dict[str, Any]], *options: str) -> tuple[int, str]:
        file.write_text("\n".join(map(json.dumps, rows)))
        store = ["--store-url", f"sqlite:///{tmp_path / 'experiments.db'}"]
        code = run([*store, "datasets", "create", "questions", str(file), *options])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    assert create(ROWS)[0] == 0
    assert create(ROWS)[0] == 2
    code, said = create(ROWS, "--if-exists", "reuse")
    assert (code, "with 3 examples" in said) == (0, True)
    code, said = create(ROWS[:1], "--if-exists", "reuse")
    assert (code, "--if-exists new_version" in said) == (2, True)
    code, said = create(ROWS[:1], "--if-exists", "new_version")
    assert (code, "with 1 examples" in said) == (0, True)


def test_two_words_for_the_same_are_not_both_given(client: Client) -> None:
    client.datasets.create_dataset(name="questions", examples=ROWS)
    with pytest.raises(InvalidInput, match="give dataset= or name=, not both"):
        client.datasets.get_dataset(dataset="questions", name="questions")
