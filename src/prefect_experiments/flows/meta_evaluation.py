"""How well an evaluator agrees with people, and which way it errs."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from prefect_experiments import Client, RanExperiment, evaluator_task
from prefect_experiments.analysis import meta_evaluation as agreement_of
from prefect_experiments.flows.form import deployed
from prefect_experiments.orchestration.artifacts import show_text
from prefect_experiments.orchestration.deployed.parameters import (
    LIMITS,
    CallLimits,
    Columns,
    JudgedFields,
    Source,
    dataset_of,
)
from prefect_experiments.orchestration.deployed.recovery import arun_for_flow_run
from prefect_experiments.orchestration.deployed.reporting import agreed
from prefect_experiments.pages import ExperimentRunList


@deployed(
    "meta-evaluation",
    called="{evaluator} against {human}",
    shown=("evaluator", "human", "experiment", "dataset", "judge", "positive", "threshold", "min_kappa"),
)
async def meta_evaluation(
    evaluator: Annotated[str, Field(min_length=1)],
    human: Annotated[str, Field(min_length=1)],
    experiment: str = "latest",
    dataset: Source | None = None,
    judge: str | None = None,
    judged: JudgedFields | None = None,
    columns: Columns | None = None,
    positive: str | None = None,
    threshold: float | None = None,
    labels: list[str] | None = None,
    ignore_case: bool = False,
    min_kappa: Annotated[float | None, Field(ge=-1, le=1)] = None,
    backend: str | None = None,
    limits: CallLimits = LIMITS,
) -> Any:
    """Compare an evaluator's verdicts with people's: agreement, kappa, the direction of its errors.

    Either on an experiment that both have judged, or, with a judge, on a dataset of outputs that people have
    labelled: then the judge is run on them first.

    Args:
        evaluator: The evaluator's name, or a field such as eval.NAME.score; with a judge, output.label or
            output.score.
        human: An annotation's name, or a field such as annotation.NAME.label, expected.label or metadata.score.
        experiment: Id, name, tag:NAME or latest. Not used with a judge.
        dataset: The dataset that a name, a tag or latest is looked for in; with a judge, the labelled dataset: a
            name, an id, or a file's path.
        judge: Run this evaluator on the dataset first: a built-in's name or a reference.
        judged: With a judge, the fields of an example that it sees. Empty: output and input.
        columns: With a judge and a file: which of its columns make an example.
        positive: The positive label, such as correct, for the direction of the errors.
        threshold: Scores of at least this are the positive label.
        labels: Every label in order, lowest first, for weighted kappa.
        ignore_case: Compare labels without regard to case.
        min_kappa: What kappa has to reach; the final state is GatePassed or GateFailed then. Empty: no bound.
        backend: local, phoenix, arize, or a saved block such as phoenix-credentials/prod. Empty: as the worker's
            settings say.
        limits: With a judge: calls at a time, timeout, retries.
    """
    client = Client(backend=backend)
    runs: ExperimentRunList | RanExperiment
    if judge is None:
        runs = await asyncio.to_thread(
            partial(client.experiments.list_runs, experiment=experiment, dataset=dataset, all=True)
        )
    else:
        runs = await arun_for_flow_run(
            client=client,
            dataset=dataset_of(dataset or "", columns),
            task=evaluator_task(judge, **(judged or JudgedFields()).model_dump()),
            evaluators=[],
            **limits,
        )
    measure = partial(
        agreement_of,
        runs,
        evaluator=evaluator,
        human=human,
        positive=positive,
        threshold=threshold,
        labels=labels,
        ignore_case=ignore_case,
        judged_output=None if judge is None else _as_read((judged or JudgedFields()).model_dump()["output"]),
    )
    agreement = await asyncio.to_thread(measure)
    await show_text(str(agreement), "agreement", evaluator, f"{evaluator} against {human}")
    return agreed(agreement, min_kappa)


def _as_read(field: str) -> str:
    """What a field of an example is called in the results: its output is what was expected there."""
    part, dot, path = field.partition(".")
    return f"{'expected' if part in ('output', 'reference') else part}{dot}{path}"
