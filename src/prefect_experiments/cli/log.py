"""The command that logs results which were made elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App, Group, Parameter

from prefect_experiments.cli.columns import CellTypes, types_of
from prefect_experiments.cli.comparing import NO_REPORTS, Reports, write_reports
from prefect_experiments.cli.output import Answer, Here, about, plain, tell
from prefect_experiments.cli.progress import prepared_prefect
from prefect_experiments.cli.running import json_object, outcome
from prefect_experiments.errors import InvalidDataset, InvalidSetting
from prefect_experiments.models import EvaluationResultFieldNames, ExperimentTaskFieldNames
from prefect_experiments.results import Misfit

if TYPE_CHECKING:
    from rich.console import Console


@Parameter(name="*", group=Group("Columns", sort_key=5))
@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the columns of the file are; NAME is an evaluator's, and NAME alone stands for NAME=NAME.

    Attributes:
        example_id: the column with the id of the example.
        output: the column with the output.
        score: NAME=COLUMN of an evaluator's scores; can be given several times, like the others.
        label: NAME=COLUMN of its labels.
        explanation: NAME=COLUMN of its explanations.
        evaluation_metadata: NAME=COLUMN of what else it said; several for one NAME.
        kind: NAME=KIND of an evaluator: CODE, LLM or HUMAN; CODE by default.
        cell_type: COLUMN=TYPE, what its cells are: text, number, bool or json; of a CSV file, text by default. Can
            be given several times.
    """

    example_id: str = "example_id"
    output: str = "output"
    score: list[str] | None = None
    label: list[str] | None = None
    explanation: list[str] | None = None
    evaluation_metadata: list[str] | None = None
    kind: list[str] | None = None
    cell_type: CellTypes = None

    def arguments(self) -> dict[str, Any]:
        """As `log_experiment` takes them."""
        by_evaluator: dict[str, dict[str, Any]] = {}
        for part in ("score", "label", "explanation"):
            for name, column in _pairs(part, getattr(self, part)):
                if part in by_evaluator.setdefault(name, {}):
                    raise InvalidSetting(f"--{part} is given twice for {name!r}")
                by_evaluator[name][part] = column
        for name, column in _pairs("evaluation-metadata", self.evaluation_metadata):
            by_evaluator.setdefault(name, {}).setdefault("metadata", []).append(column)
        for name, kind in _pairs("kind", self.kind):
            by_evaluator.setdefault(name, {})["annotator_kind"] = kind.upper()
        for name, fields in by_evaluator.items():
            if "score" not in fields and "label" not in fields:
                raise InvalidSetting(f"evaluator {name!r} has neither a score nor a label; give --score {name}=COLUMN")
        columns = {name: EvaluationResultFieldNames(**fields) for name, fields in by_evaluator.items()}
        named = (self.example_id, self.output) != ("example_id", "output")
        return {
            "task_fields": ExperimentTaskFieldNames(example_id=self.example_id, output=self.output) if named else None,
            "evaluator_columns": columns or None,
            "types": types_of(self.cell_type),
        }


def _pairs(option: str, given: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    for text in given or ():
        name, equals, value = text.partition("=")
        if not name or (equals and not value) or (option == "kind" and not equals):
            raise InvalidSetting(f"--{option} takes NAME={'KIND' if option == 'kind' else 'COLUMN'}, got {text!r}")
        yield name, value or name


_USUAL = Columns()


def register(app: App) -> None:
    """Add the command to the root."""
    app.command(log)


def log(
    file: Path,
    /,
    *,
    dataset: str,
    name: str | None = None,
    description: str | None = None,
    metadata: str | None = None,
    dataset_version: str | None = None,
    split: list[str] | None = None,
    allow: list[Misfit] | None = None,
    baseline: str | None = None,
    first_run: bool = False,
    pooled: int = 1,
    gate: str | None = None,
    columns: Columns = _USUAL,
    reports: Reports = NO_REPORTS,
    terminal: Here,
) -> Answer:
    r"""Log an experiment that was run elsewhere: keep its outputs and scores; nothing is run.

    A file with columns example_id and output, scores in a column of their own:

        prefect-experiments log results.csv --dataset questions --score correct=correct_score

    What `export` has written is understood as it is:

        prefect-experiments log exported.jsonl --dataset questions --name again

    A column `error` (or `status`) marks failed runs; latency_ms, token_count, total_cost, trace_id,
    repetition_number, start_time and end_time are understood, and eval.NAME.score (label, explanation,
    error). All other columns are kept as metadata of the runs. Logging the same file again under the same
    name makes nothing new.

    Args:
        file: a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file with one row an example (and repetition).
        dataset: the dataset's name or id, or the path of a file, that the results are of.
        name: the experiment's name; by default the file's, without its suffix.
        description: a sentence for people.
        metadata: a JSON object.
        dataset_version: id or number of a version; by default the newest.
        split: the results are of the examples of this split only; can be given several times.
        allow: what is no error: rows of unknown ids are left out, of doubled ones the last is taken, examples
            that are missing have no run; can be given several times.
        baseline: what the results are compared with: id, name, tag:NAME, latest, latest:NAME, or a table of results.
        first_run: there may be no experiment with that tag yet, though others of the dataset have tags.
        pooled: the baseline is the mean of so many runs: its own and the first ones after it that passed.
        gate: the rules that judge them, as the path of a YAML or JSON file, or as such text.
        columns: what the columns are.
        reports: what to write.
        terminal: where it is shown.
    """
    arguments = columns.arguments()
    reports.check()
    with prepared_prefect(terminal) as words, _advice_on_options():
        if words:
            tell(words)
        client = terminal.client()
        ran = client.experiments.log_experiment(
            name=file.stem if name is None else name,
            dataset=dataset,
            experiment_runs=file,
            description=description,
            metadata=json_object(metadata),
            dataset_version=dataset_version,
            splits=split,
            allow=allow or (),
            baseline=baseline,
            first_run=first_run,
            pooled=pooled,
            gate=gate,
            print_summary=False,
            **arguments,
        )
    try:
        write_reports(reports, ran.comparison, candidate=ran, baseline=ran.baseline, verdict=ran.verdict)
    except InvalidSetting as error:
        writing = f"`prefect-experiments report {ran.experiment_id}` writes the report"
        about(error, ran.experiment_id, f"The results are logged; {writing}")
        raise
    answer = outcome(ran, client, reports)

    def show(console: Console) -> None:
        answer.show(console)
        for line in ran.said():
            console.print(plain(f"  {line}"), soft_wrap=True)

    return replace(answer, show=show)


@contextlib.contextmanager
def _advice_on_options() -> Iterator[None]:
    """What is wrong with the file is said in the words of Python: say what it is called here."""
    try:
        yield
    except InvalidDataset as error:
        if "allow=" in str(error):
            error.add_note("Here that is --allow, once for each")
        if "task_fields=" in str(error):
            error.add_note("Here that is --example-id and --output")
        raise
