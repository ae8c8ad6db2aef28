"""The table that AX's client gives, made of our results: its columns beside ours."""

from __future__ import annotations

import pandas as pd

from prefect_experiments import Client
from prefect_experiments.client.ax_rows import ax_frame

ROWS = pd.DataFrame(
    {
        "id": ["e0", "e1", "e2"],
        "output": ["a", None, "c"],
        "error": [None, "ValueError('boom')", None],
        "result.trace.id": ["0" * 31 + "1", None, None],
        "result.trace.timestamp": [1_750_000_000_000, 1_750_000_001_000, 1_750_000_002_000],
        "latency": [120.5, None, 80.0],
        "eval.right.score": [1.0, None, 0.0],
        "eval.right.trace.id": ["0" * 31 + "2", None, None],
        "eval.right.trace.timestamp": [1_750_000_003_000, None, 1_750_000_004_000],
        "eval.right.metadata.k": ["v", None, None],
        "eval.short.label": [None, None, "no"],
    }
)


def test_what_axs_table_says_of_runs_and_evaluations_is_in_ours(client: Client) -> None:
    made = client.experiments.create(name="ax", experiment_runs=ROWS)
    frame = ax_frame(client.experiments.get_results(experiment=made)).set_index("example_id")
    said = frame.astype(object).where(frame.notna(), None)
    assert said["result.trace.id"].to_dict() == {"e0": "0" * 31 + "1", "e1": None, "e2": None}
    assert said["result.trace.timestamp"].tolist() == ROWS["result.trace.timestamp"].tolist()
    assert said["latency"].tolist() == [120.5, None, 80.0]
    assert said["execution_status"].tolist() == ["COMPLETED", "FAILED", "COMPLETED"]
    assert said["exceptions"].tolist() == [None, "ValueError('boom')", None]
    assert said["eval.right.score"].tolist() == [1.0, None, 0.0]
    assert said["eval.right.trace.id"].tolist() == ["0" * 31 + "2", None, None]
    # An evaluation of a table is taken to be of when its run ended.
    assert said["eval.right.trace.timestamp"].tolist() == [1_750_000_000_120, None, 1_750_000_002_080]
    assert said["eval.right.metadata.k"].tolist() == ["v", None, None]
    assert said["eval.short.label"].tolist() == [None, None, "no"]
