"""What a worker met is raised where the experiment runs as what it was, though it went there as text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prefect_experiments.errors import (
    BackendUnavailable,
    BudgetSpent,
    ExperimentsError,
    ExperimentStopped,
    InvalidReference,
    StoreLost,
    StoreUnavailable,
)
from prefect_experiments.experiment.worker_errors import from_text, to_text

STOPPED = ExperimentStopped("the task raised", experiment_id="exp-1", error="ValueError: no", advice="Go on.")


@pytest.mark.parametrize(
    "error",
    [
        STOPPED,
        BudgetSpent("stopped", experiment_id="exp-1"),
        InvalidReference("there is no module 'a'"),
        StoreUnavailable("it is away", reason="refused", is_busy=True),
        BackendUnavailable("it is busy", retry_after=2.5),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_what_it_was(error: ExperimentsError) -> None:
    told = from_text(to_text(error))
    assert type(told) is type(error)
    assert str(told) == str(error)
    assert vars(told) == vars(error)


def test_a_stop_can_be_said_more_of() -> None:
    told = from_text(to_text(STOPPED))
    assert isinstance(told, ExperimentStopped)
    assert str(told.with_text(told.error)) == "the task raised: ValueError: no. Go on."


def test_what_is_no_simple_value_is_left_out() -> None:
    told = from_text(to_text(StoreLost("it was deleted", saved_in=Path("there"))))
    assert isinstance(told, StoreLost)
    assert (str(told), told.saved_in) == ("it was deleted", None)


def test_an_error_of_another_version_keeps_its_name_and_text() -> None:
    told = from_text(json.dumps({"kind": "NewError", "text": "something", "more": {}}))
    assert (type(told), str(told)) == (ExperimentsError, "NewError: something")
    assert str(from_text(json.dumps({"kind": "describe", "text": "x", "more": {}}))) == "describe: x"
