"""Results that were made elsewhere, as an experiment: compared and judged like any other."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from prefect_experiments import Client, alog_experiment
from prefect_experiments.flows.form import deployed
from prefect_experiments.orchestration.deployed.parameters import (
    Columns,
    EvaluatorColumns,
    GateRules,
    ProjectPath,
    ResultColumns,
    Source,
    TagName,
    dataset_of,
    evaluator_fields,
    gate_of,
)
from prefect_experiments.orchestration.deployed.reporting import conclude


@deployed(
    "log-results",
    called="{name} on {dataset}",
    shown=(
        "name",
        "results",
        "dataset",
        "columns",
        "result_columns",
        "evaluator_columns",
        "baseline",
        "gate",
        "gate_file",
    ),
)
async def log_results(
    name: Annotated[str, Field(min_length=1)],
    results: Source,
    dataset: Source,
    columns: Columns | None = None,
    dataset_version: str | None = None,
    result_columns: ResultColumns | None = None,
    evaluator_columns: list[EvaluatorColumns] | None = None,
    allow: list[Literal["unknown", "doubled", "missing"]] | None = None,
    description: str | None = None,
    metadata: dict[str, Any] | None = None,
    baseline: Source | None = "tag:baseline",
    gate: GateRules | None = None,
    gate_file: ProjectPath | None = None,
    promote: bool = False,
    promote_as: TagName = "baseline",
    report: ProjectPath | None = None,
    report_url: str | None = None,
    backend: str | None = None,
) -> Any:
    """Log outputs and scores of a file as an experiment, and end as the gate says; nothing is run.

    Logging the same file again under the same name changes nothing, and says so.

    Args:
        name: The experiment's.
        results: Path of a .csv, .json, .jsonl or .parquet file, one row a run.
        dataset: What the results are of: name or id of a dataset, or a file's path.
        columns: For a dataset in a file: which of its columns make an example.
        dataset_version: Id or number of the dataset's version. Empty: the newest.
        result_columns: Which columns of the results hold the example's id and the output. Empty: example_id and
            output.
        evaluator_columns: Which columns hold whose scores. Not needed for columns called eval.NAME.score, .label, ...
        allow: What is no error: unknown, rows that belong to no example; doubled, several rows for one; missing,
            examples without a row.
        description: A sentence for people.
        metadata: Anything worth knowing later, as a JSON object.
        baseline: What the results are compared with: an experiment's id or name, tag:NAME, latest, or a table of
            results. A tag that nobody has yet is no error: they are judged alone.
        gate: The rules of the verdict. Empty, and no file: no metric may be worse than the baseline's.
        gate_file: Path of a YAML or JSON file with the rules, in place of `gate`.
        promote: Give the experiment the baseline's tag where the gate has passed it.
        promote_as: The tag that `promote` gives.
        report: Where the HTML report is written: the path of an .html file, or of a folder. Empty: nowhere.
        report_url: Where people open that file or folder, such as https://reports.example.com. Empty: the page
            says the path.
        backend: local, phoenix, arize, or a saved block such as phoenix-credentials/prod. Empty: as the worker's
            settings say.
    """
    client = Client(backend=backend)
    ran = await alog_experiment(
        name=name,
        dataset=dataset_of(dataset, columns),
        dataset_version=dataset_version,
        experiment_runs=results,
        task_fields=None if result_columns is None else result_columns.fields(),
        evaluator_columns=evaluator_fields(evaluator_columns or []),
        allow=allow or (),
        description=description,
        metadata=metadata,
        baseline=baseline,
        gate=gate_of(gate, gate_file),
        client=client,
        print_summary=False,
    )
    promoted = promote_as if promote else None
    return await conclude(ran, client, report=report, report_url=report_url, promote_as=promoted)
