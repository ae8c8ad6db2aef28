"""The evaluation of what was just deployed: a quick sample first, and everything where that passes.

Started by an event that says what was deployed, such as ``model.deployed`` with the payload
``{"model": ..., "version": ...}``. However often the event comes, one evaluation is made.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from prefect_experiments import Client, Gate
from prefect_experiments.errors import AlreadyExists
from prefect_experiments.flows.form import deployed
from prefect_experiments.orchestration.artifacts import show_outcome
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
    task_of,
)
from prefect_experiments.orchestration.deployed.recovery import arun_for_flow_run, what_became_of
from prefect_experiments.orchestration.deployed.reporting import conclude, outcome

QUICK = SampleRules(n=20)


@deployed(
    "deployment-evaluation",
    called="{model} {version} on {dataset}",
    shown=("model", "version", "dataset", "task", "evaluators", "columns", "baseline", "gate", "gate_file", "promote"),
)
async def deployment_evaluation(
    model: Annotated[str, Field(min_length=1, max_length=100)],
    version: Annotated[str, Field(min_length=1, max_length=100)],
    dataset: Source,
    task: Annotated[str, Field(min_length=1)] | None = None,
    evaluators: list[str] | None = None,
    columns: Columns | None = None,
    quick: SampleRules | None = QUICK,
    baseline: Source | None = "tag:baseline",
    gate: GateRules | None = None,
    gate_file: ProjectPath | None = None,
    promote: bool = False,
    promote_as: TagName = "baseline",
    report: ProjectPath | None = None,
    report_url: str | None = None,
    again: bool = False,
    backend: str | None = None,
    limits: CallLimits = LIMITS,
) -> Any:
    """Evaluate a version of a model that was deployed: a sample first, then everything.

    The final state is called GatePassed, GateFailed or GateInconclusive, and its message says why. A second run
    for the same version ends as AlreadyBegun, says what has become of the first, and spends nothing.

    Args:
        model: What was deployed, such as the event's payload says it.
        version: Which version of it.
        dataset: Name or id of a dataset, or the path of a .csv, .json, .jsonl or .parquet file. One of
            pixie's brings its task and its evaluators.
        task: What is tested, as path/file.py:name or package.module:name. It gets model and version where it takes
            parameters of these names. Empty: the dataset's own, which does not get them.
        evaluators: What scores the outputs: names of built-ins, or references as for the task. Empty: the
            dataset's own.
        columns: For a file: which of its columns make an example. Not needed for columns called input and output.
        quick: The sample that is run first. Where the gate fails on it, the rest is not run. Empty: everything at
            once.
        baseline: What the result is compared with: an experiment's id or name, tag:NAME, latest, or a table of
            results. A tag that nobody has yet is no error: the first run is judged alone.
        gate: The rules of the verdict. Empty, and no file: no metric may be worse than the baseline's.
        gate_file: Path of a YAML or JSON file with the rules, in place of `gate`.
        promote: Give the experiment the baseline's tag where the gate has passed it.
        promote_as: The tag that `promote` gives.
        report: Where the HTML report is written: the path of an .html file, or of a folder. Empty: nowhere.
        report_url: Where people open that file or folder, such as https://reports.example.com. Empty: the page
            says the path.
        again: Evaluate this version even where it has been evaluated.
        backend: local, phoenix, arize, or a saved block such as phoenix-credentials/prod. Empty: as the worker's
            settings say.
        limits: Calls at a time, timeout, retries.
    """
    client = Client(backend=backend)
    rules = gate_of(gate, gate_file)
    key = f"{model}@{version}"
    common: dict[str, Any] = {
        "client": client,
        "dataset": dataset_of(dataset, columns, brings_task=task is None, brings_evaluators=evaluators is None),
        "task": task_of(task, model=model, version=version),
        "evaluators": evaluators,
        "baseline": baseline,
        **limits,
    }
    about: dict[str, Any] = {"experiment_metadata": {"model": model, "version": version}}
    try:
        if quick is not None:
            tried = await arun_for_flow_run(
                part="quick",
                # Few examples often cannot tell; only what is shown to be worse ends it here.
                gate=Gate.of(rules, on_inconclusive="pass"),
                idempotency_key=None if again else f"{key} quick",
                new={**about, "experiment_name": f"{key} quick", "sample": quick},
                **common,
            )
            if tried.verdict is not None and tried.verdict.exit_code:
                await show_outcome(tried)
                return outcome(tried, before="A sample has shown enough, the rest was not run. ")
        ran = await arun_for_flow_run(
            gate=rules,
            idempotency_key=None if again else key,
            new={**about, "experiment_name": key},
            **common,
        )
    except AlreadyExists as first:
        return await what_became_of(first, key, client)
    promoted = promote_as if promote else None
    return await conclude(ran, client, report=report, report_url=report_url, promote_as=promoted)
