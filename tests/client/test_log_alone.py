"""Results that belong to no dataset: the rows are examples of their own."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_experiments import Client, ExperimentTaskFieldNames
from prefect_experiments.errors import InvalidDataset, InvalidSetting

ROWS = [
    {"input": {"q": "one"}, "expected": "1", "output": "1", "eval.right.score": 1.0, "model": "m"},
    {"input": {"q": "two"}, "expected": "2", "output": "3", "eval.right.score": 0.0, "model": "m"},
    {"input": {"q": "three"}, "expected": "3", "output": None, "error": "ValueError: no", "model": "m"},
]


def runs_of(client: Client, experiment: Any) -> pd.DataFrame:
    return client.experiments.list_runs(experiment=experiment, all=True).to_df()


def test_the_store_has_a_dataset_made_of_the_rows(client: Client) -> None:
    made = client.experiments.create(name="alone", experiment_runs=ROWS)
    frame = runs_of(client, made)
    assert frame["input"].tolist() == [row["input"] for row in ROWS]
    assert frame["expected"].tolist() == ["1", "2", "3"]
    assert frame["status"].tolist() == ["ok", "ok", "error"]
    assert made.dataset_id
    same = client.datasets.create_dataset(
        name="same", examples=[{"input": row["input"], "output": row["expected"]} for row in ROWS]
    )
    assert frame["example_id"].tolist() == [example.id for example in same.examples]  # so they pair
    assert client.experiments.create(name="alone", experiment_runs=pd.DataFrame(ROWS)).id == made.id
    other = client.experiments.create(name="other", experiment_runs=[{**row, "eval.right.score": 1.0} for row in ROWS])
    compared = client.experiments.compare(baseline=made, candidate=other, print_summary=False)
    assert compared.n_pairs == 3


def test_a_column_of_ids_counts(client: Client) -> None:
    for column in ("example_id", "id"):
        given = [{column: f"q{n}", **row} for n, row in enumerate(ROWS)]
        made = client.experiments.create(name=column, experiment_runs=given)
        assert runs_of(client, made)["example_id"].tolist() == ["q0", "q1", "q2"]
    fields = ExperimentTaskFieldNames(example_id="key", output="said")
    given = [{"key": n, "said": n} for n in range(3)]
    made = client.experiments.create(name="key", experiment_runs=given, task_fields=fields)
    assert runs_of(client, made)["example_id"].tolist() == ["0", "1", "2"]
    with pytest.raises(InvalidDataset, match=r"1 example stands in several rows: 'a' \(rows 1, 2\)"):
        client.experiments.create(name="x", experiment_runs=[{"id": "a", "output": 1}, {"id": "a", "output": 2}])


def test_repetitions_are_of_one_example(client: Client) -> None:
    given = [{"input": "q", "repetition_number": n, "output": n} for n in (1, 2)]
    made = client.experiments.create(name="r", experiment_runs=given)
    assert (made.example_count, made.repetitions) == (1, 2)


def test_outputs_alone_will_do(client: Client) -> None:
    fields = ExperimentTaskFieldNames(example_id=None, output="said")  # as AX's client has it
    made = client.experiments.create(name="o", experiment_runs=[{"said": "a"}, {"said": "b"}], task_fields=fields)
    frame = runs_of(client, made)
    assert frame["output"].tolist() == ["a", "b"]
    assert frame["input"].tolist() == [None, None]


@pytest.mark.thorough
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.fixed_dictionaries({"input": st.sampled_from("ab"), "output": st.sampled_from("xyz")}),
        min_size=1,
        max_size=5,
    ),
    data=st.data(),
)
def test_no_id_depends_on_the_order_of_the_rows(
    client: Client, rows: list[dict[str, str]], data: st.DataObject
) -> None:
    found = []
    for given_rows in (rows, data.draw(st.permutations(rows))):
        frame = runs_of(client, client.experiments.create(name="p", experiment_runs=given_rows))
        found.append(sorted(frame[["example_id", "input", "output"]].itertuples(index=False)))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset_version": "1"}, "dataset_version= is of a dataset; pass dataset= as well"),
        ({"splits": "s"}, "splits= is of a dataset"),
        ({"experiment_runs": [{"input": 1}]}, "the output: unknown column 'output'"),
    ],
)
def test_what_needs_a_dataset_is_refused(client: Client, changes: dict[str, Any], said: str) -> None:
    with pytest.raises((InvalidDataset, InvalidSetting), match=said):
        client.experiments.create(**{"name": "x", "experiment_runs": ROWS, **changes})
    assert len(client.experiments.list()) == 0


def test_a_dataset_needs_ids(client: Client) -> None:
    client.datasets.create_dataset(name="d", examples=[{"id": "a", "input": 1}])
    with pytest.raises(InvalidSetting, match=r"task_fields\.example_id must name the column of the example's id"):
        client.experiments.create(
            name="x",
            dataset="d",
            experiment_runs=[{"output": 1}],
            task_fields=ExperimentTaskFieldNames(example_id=None, output="output"),
        )


def test_phoenix_takes_none() -> None:
    client = Client(backend="phoenix", base_url="http://127.0.0.1:9", store_url="sqlite://")
    with pytest.raises(InvalidSetting, match=r"an experiment in phoenix is on a dataset; pass dataset="):
        client.experiments.create(name="x", experiment_runs=ROWS)
