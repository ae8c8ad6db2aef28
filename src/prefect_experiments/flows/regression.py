"""A regression: run, compare with the baseline, let the gate judge, report, and promote what has passed."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from prefect_experiments import Client, datasets
from prefect_experiments.experiment.arguments import MOST_POOLED
from prefect_experiments.flows.form import deployed
from prefect_experiments.options import REPETITIONS
from prefect_experiments.orchestration.artifacts import show_history
from prefect_experiments.orchestration.deployed.parameters import (
    LIMITS,
    CallLimits,
    Columns,
    GateRules,
    ProjectPath,
    SampleRules,
    Source,
    TagName,
    dataset_of,
    gate_of,
    nightly,
)
from prefect_experiments.orchestration.deployed.recovery import arun_for_flow_run
from prefect_experiments.orchestration.deployed.reporting import conclude


@deployed(
    "regression",
    called="{task} on {dataset}",
    shown=("dataset", "task", "evaluators", "columns", "baseline", "gate", "gate_file", "promote"),
)
async def regression(
    dataset: Source,
    task: Annotated[str, Field(min_length=1)] | None = None,
    evaluators: list[str] | None = None,
    columns: Columns | None = None,
    dataset_version: str | None = None,
    splits: list[str] | None = None,
    sample: SampleRules | None = None,
    repetitions: Annotated[int, REPETITIONS] = 1,
    experiment_name: str | None = None,
    experiment_description: str | None = None,
    experiment_metadata: dict[str, Any] | None = None,
    baseline: Source | None = "tag:baseline",
    pooled: Annotated[int, Field(ge=1, le=MOST_POOLED)] = 5,
    gate: GateRules | None = None,
    gate_file: ProjectPath | None = None,
    promote: bool = False,
    promote_as: TagName = "baseline",
    report: ProjectPath | None = None,
    report_url: str | None = None,
    backend: str | None = None,
    limits: CallLimits = LIMITS,
) -> Any:
    """Run a task over a dataset, compare with the baseline, and end as the gate says.

    The final state is called GatePassed, GateFailed or GateInconclusive, and its message says why.

    Args:
        dataset: Name or id of a dataset, or the path of a .csv, .json, .jsonl or .parquet file. One of
            pixie's brings its task and its evaluators.
        task: What is tested, as path/file.py:name or package.module:name. Empty: the dataset's own.
        evaluators: What scores the outputs: names of built-ins, or references as for the task. Empty: the
            dataset's own.
        columns: For a file: which of its columns make an example. Not needed for columns called input and output.
        dataset_version: Id or number of the dataset's version. Empty: the newest.
        splits: Only the examples of these splits.
        sample: Only a sample of the examples. Empty: all of them.
        repetitions: How often each example is run.
        experiment_name: Empty: the task's name and the time.
        experiment_description: A sentence for people.
        experiment_metadata: Anything worth knowing later, as a JSON object.
        baseline: What the result is compared with: an experiment's id or name, tag:NAME, latest, or a table of
            results. A tag that nobody has yet is no error: the first run is judged alone.
        pooled: The baseline is the mean of so many runs: its own and the first ones after it that its gate did not
            fail. Of a table of results it is that alone.
        gate: The rules of the verdict. Empty, and no file: no metric may be worse than the baseline's. Without
            alarms in it, an application that does not change fails in at most 5 % of months.
        gate_file: Path of a YAML or JSON file with the rules, in place of `gate`.
        promote: Give the experiment the baseline's tag where the gate has passed it, and it is the first one, or the
            one before it was better than the baseline and it is not worse. The final state says what came of it.
        promote_as: The tag that `promote` gives.
        report: Where the HTML report is written: the path of an .html file, or of a folder. Empty: nowhere.
        report_url: Where people open that file or folder, such as https://reports.example.com. Empty: the page
            says the path.
        backend: local, phoenix, arize, or a saved block such as phoenix-credentials/prod. Empty: as the worker's
            settings say.
        limits: Calls at a time, timeout, retries.
    """
    client = Client(backend=backend)
    rules = nightly(gate_of(gate, gate_file))
    ran = await arun_for_flow_run(
        client=client,
        dataset=dataset_of(dataset, columns, brings_task=task is None, brings_evaluators=evaluators is None),
        task=task,
        evaluators=evaluators,
        baseline=baseline,
        pooled=1 if baseline is None or datasets.is_path(baseline) else pooled,
        gate=rules,
        new={
            "dataset_version": dataset_version,
            "splits": splits,
            "sample": sample,
            "repetitions": repetitions,
            "experiment_name": experiment_name,
            "experiment_description": experiment_description,
            "experiment_metadata": experiment_metadata,
        },
        **limits,
    )
    state = await conclude(
        ran,
        client,
        report=report,
        report_url=report_url,
        promote_as=promote_as if promote else None,
        confirmed_in=(rules.nights or 1) if baseline == f"tag:{promote_as}" else None,
    )
    await show_history(ran)
    return state
