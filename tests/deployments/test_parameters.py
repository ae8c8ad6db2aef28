"""What a form's fields are made into, and what is refused before anything runs."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.orchestration.deployed.parameters import Columns, GateRules, dataset_of, gate_of, run_name


def test_columns_are_for_files() -> None:
    with pytest.raises(InvalidSetting) as refused:
        dataset_of("questions", Columns(input=["question"]))
    said = "columns are for files; the dataset 'questions' is kept with its examples as they are"
    assert str(refused.value) == said


def test_a_gate_is_in_the_form_or_in_a_file() -> None:
    with pytest.raises(InvalidSetting, match="give the gate's rules in the form or in a file, not both"):
        gate_of(GateRules(), "gate.yaml")


@pytest.mark.parametrize(
    ("given", "called"),
    [
        ({"task": "flows/app.py:answer", "dataset": "data/questions.csv"}, "answer on questions"),
        ({"task": None, "dataset": "questions"}, "its own task on questions"),
    ],
)
def test_a_flow_run_is_called_after_what_it_is_given(given: dict[str, Any], called: str) -> None:
    run = FlowRun.model_construct(id=uuid4())
    with FlowRunContext.model_construct(flow_run=run, parameters=given):
        assert run_name("{task} on {dataset}")() == called
