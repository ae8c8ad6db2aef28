"""The commands that run: run, resume, evaluate, push."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App, Group

from prefect_experiments import options
from prefect_experiments.cli.columns import NO_COLUMNS, CellTypes, FileColumns, columns_as_options, types_of
from prefect_experiments.cli.comparing import NO_REPORTS, Reports, print_written, write_reports
from prefect_experiments.cli.options import OptionGroup, made_from
from prefect_experiments.cli.output import (
    DONE,
    UNFINISHED,
    Answer,
    Here,
    about,
    print_fields,
    records,
    said,
    score_table,
)
from prefect_experiments.cli.progress import watching
from prefect_experiments.configuration import Unreadable, parse_json
from prefect_experiments.errors import BackendUnavailable, InvalidSetting
from prefect_experiments.options import Begun, CallOptions, EvaluationOptions, Named

if TYPE_CHECKING:
    from rich.console import Console

    from prefect_experiments.analysis import RanExperiment
    from prefect_experiments.client import Client
    from prefect_experiments.models import Dataset

_NAMED = re.compile(r"([A-Za-z_][\w-]*)=(.+)", re.DOTALL)
_MOST_SHOWN = 10


_LIMITS_GROUP = Group("Limits", sort_key=10)


@made_from(EvaluationOptions, _LIMITS_GROUP)
class Limits(OptionGroup):
    """How hard to work."""


@made_from(CallOptions, _LIMITS_GROUP)
class RunLimits(OptionGroup):
    """Limits of what calls the task."""


@made_from(options.Selection, Group("Examples to use", sort_key=5))
class Selection(OptionGroup):
    """Which examples of the dataset, and how a file of them is read."""

    cell_type: CellTypes = None

    def arguments(self) -> dict[str, Any]:
        """As `run_experiment` takes them."""
        return {**super().arguments(), "types": types_of(self.cell_type)}


class _New(Named, Begun):
    """What a new experiment is begun with."""


@made_from(_New)
class Beginning(OptionGroup):
    """What a new experiment is begun with."""


_LIMITS, _RUN_LIMITS, _EVERYTHING, _USUAL_BEGINNING = Limits(), RunLimits(), Selection(), Beginning()


def register(app: App) -> None:
    """Add the commands to the root."""
    for command in (run, resume, evaluate, push):
        app.command(command)


def run(
    dataset: str,
    /,
    *,
    task: str | None = None,
    evaluator: list[str] | None = None,
    root: Path | None = None,
    begun: Beginning = _USUAL_BEGINNING,
    metadata: str | None = None,
    dry_run: int | None = None,
    baseline: str | None = None,
    first_run: bool = False,
    pooled: int = 1,
    gate: str | None = None,
    columns: FileColumns = NO_COLUMNS,
    selection: Selection = _EVERYTHING,
    limits: RunLimits = _RUN_LIMITS,
    reports: Reports = NO_REPORTS,
    terminal: Here,
) -> Answer:
    r"""Run a task over a dataset, score the outputs, and keep everything.

    One row, to see whether everything fits together; nothing is kept:

        prefect-experiments run questions.csv --task app.py:answer --dry-run

    All rows, scored by a built-in evaluator and by one of your own:

        prefect-experiments run questions.csv --task app.py:answer \
            --evaluator exact_match --evaluator checks.py:polite

    A tenth of a kept dataset, three times, with a task in a module; JSON comes out:

        prefect-experiments run questions --task my.app:answer \
            --sample-fraction 0.1 --repetitions 3 --json

    A file with columns of its own:

        prefect-experiments run tickets.csv --task app.py:answer \
            --input-key text --output-key intent --metadata-key channel --id-key id

    A dataset of pixie's, which names its application and its evaluators itself:

        prefect-experiments run pixie_qa/datasets/support.json

    Args:
        dataset: a dataset's name or id, or the path of a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file, or of a
            .json file of pixie's.
        task: the function under test, as package.module:name or path/file.py:name. May be left out where the dataset
            brings one.
        evaluator: a built-in's name or a reference, or NAME=ONE_OF_THESE; can be given several times. By default those
            that the dataset brings.
        root: of a pixie dataset, the folder that its references are taken from; by default the one that its pixie_qa
            stands in, else the current directory.
        begun: what it is begun with.
        metadata: a JSON object.
        dry_run: try one random example, or with a number so many, without Prefect; nothing is kept.
        baseline: what the result is compared with: id, name, tag:NAME, latest, latest:NAME, or a table of results.
        first_run: there may be no experiment with that tag yet, though others of the dataset have tags.
        pooled: the baseline is the mean of so many runs: its own and the first ones after it that passed.
        gate: the rules that judge it, as the path of a YAML or JSON file, or as such text.
        columns: which columns of a file make an example.
        selection: which examples.
        limits: how hard to work.
        reports: what to write.
        terminal: where it is shown.
    """
    if dry_run is None:
        reports.check()
    with watching(terminal, resumable=dry_run is None), columns_as_options():
        client = terminal.client()
        given = columns.read(dataset, types_of(selection.cell_type))
        ran = client.experiments.run_experiment(
            dataset=given if root is None else _in_project(dataset, root, task, evaluator),
            task=task,
            evaluators=_evaluators(evaluator) or None,
            experiment_metadata=json_object(metadata),
            dry_run=False if dry_run is None else dry_run,
            baseline=baseline,
            first_run=first_run,
            pooled=pooled,
            gate=gate,
            print_summary=False,
            **begun.arguments(),
            **selection.arguments(),
            **limits.arguments(),
        )
    if dry_run is not None:
        return _tried(ran)
    return _reported(ran, client, reports)


def _in_project(dataset: str, root: Path, task: str | None, evaluator: list[str] | None) -> Dataset:
    """A pixie dataset whose references are taken from a folder."""
    from prefect_experiments.experiment.dataset_files import check_readable
    from prefect_experiments.pixie.dataset import load_pixie
    from prefect_experiments.pixie.reading import is_pixie

    if not is_pixie(dataset):
        check_readable(dataset)
        raise InvalidSetting(f"--root is about the .json file of a pixie dataset, and {dataset} is none")
    return load_pixie(dataset, root, task=task is None, evaluators=not evaluator)


def _reported(ran: RanExperiment, client: Client, reports: Reports) -> Answer:
    try:
        write_reports(reports, ran.comparison, candidate=ran, baseline=ran.baseline, verdict=ran.verdict)
    except InvalidSetting as error:
        writing = f"`prefect-experiments report {ran.experiment_id}` writes its report"
        about(error, ran.experiment_id, f"The experiment is done; {writing}")
        raise
    return outcome(ran, client, reports)


def resume(
    experiment: str,
    /,
    *,
    dataset: str | None = None,
    task: str | None = None,
    evaluator: list[str] | None = None,
    baseline: str | None = None,
    gate: str | None = None,
    limits: RunLimits = _RUN_LIMITS,
    reports: Reports = NO_REPORTS,
    terminal: Here,
) -> Answer:
    """Go on with an experiment: make what is missing of it, and what has failed.

    What has finished is not made again. An experiment that is complete is shown as it is.

    Args:
        experiment: id, name, tag:NAME, latest or latest:NAME.
        dataset: the dataset that a name, a tag or latest is looked for in.
        task: the task, where it cannot be found again by the reference the experiment was started with.
        evaluator: a further one, as for run; can be given several times. The experiment's own are found again.
        baseline: what the result is compared with, as for run.
        gate: the rules that judge it, as for run.
        limits: how hard to work.
        reports: what to write.
        terminal: where it is shown.
    """
    reports.check()
    with watching(terminal):
        client = terminal.client()
        ran = client.experiments.resume_experiment(
            experiment=experiment,
            dataset=dataset,
            task=task,
            evaluators=_evaluators(evaluator),
            baseline=baseline,
            gate=gate,
            print_summary=False,
            **limits.arguments(),
        )
    return _reported(ran, client, reports)


def evaluate(
    experiment: str,
    /,
    *,
    evaluator: list[str],
    dataset: str | None = None,
    dataset_version: str | None = None,
    limits: Limits = _LIMITS,
    terminal: Here,
) -> Answer:
    """Score kept outputs with further or changed evaluators; no task is called.

    Evaluations that are there are kept, unless they failed or their evaluator has changed since.

    Args:
        experiment: id, name, tag:NAME, latest or latest:NAME.
        evaluator: as for run; can be given several times.
        dataset: the dataset that a name, a tag or latest is looked for in.
        dataset_version: score the outputs beside the examples of this version (an id, a number or latest), whose
            answers may have been corrected since; that is an experiment of its own.
        limits: how hard to work.
        terminal: where it is shown.
    """
    with watching(terminal):
        client = terminal.client()
        ran = client.experiments.evaluate_experiment(
            experiment=experiment,
            dataset=dataset,
            dataset_version=dataset_version,
            evaluators=_evaluators(evaluator),
            print_summary=False,
            **limits.arguments(),
        )
    return outcome(ran, client)


def push(experiment: str, /, *, to: str | None = None, dataset: str | None = None, terminal: Here) -> Answer:
    """Push what a backend does not have yet of an experiment; nothing is run.

    An experiment that was begun in the backend is continued there, any other is begun there.

    Args:
        experiment: id, name, tag:NAME, latest or latest:NAME, in the store.
        to: the backend, such as phoenix; by default the one that has the experiment already.
        dataset: the dataset that a name, a tag or latest is looked for in.
        terminal: where it is shown.

    Raises:
        BackendUnavailable: it stopped taking results; those that it did not take wait.
    """
    client = terminal.client()
    ran = client.experiments.push(experiment=experiment, to=to, dataset=dataset)
    if ran.waiting:
        raise BackendUnavailable(f"{ran.waiting} results wait: the backend stopped taking them. Push again later")
    return said({"experiment_id": ran.experiment_id, "url": ran.url, "waiting": 0}, f"everything is in {ran.url}")


def _evaluators(given: list[str] | None) -> list[Any]:
    """The evaluators, those given as ``NAME=EVALUATOR`` bound to that name."""
    from prefect_experiments.evaluators import resolve_evaluators

    found: list[Any] = []
    for text in given or ():
        named = _NAMED.fullmatch(text)
        found.extend(resolve_evaluators({named[1]: named[2]}) if named else [text])
    return found


def json_object(text: str | None) -> dict[str, Any] | None:
    """The object in the text of ``--metadata``."""
    if text is None:
        return None
    try:
        value = parse_json(text)
    except Unreadable as error:
        raise InvalidSetting(f"--metadata must be a JSON object, got {text!r:.80}, which {error}") from None
    if not isinstance(value, dict):
        raise InvalidSetting(f"--metadata must be a JSON object, got {text!r:.80}")
    return value


def outcome(ran: RanExperiment, client: Client, reports: Reports = NO_REPORTS) -> Answer:
    """The answer of a command that has run something."""

    def show(console: Console) -> None:
        from prefect_experiments.reports.terminal import print_comparison, print_summary, print_verdict

        print_summary(ran, console, kept_in=client.store.shown_url)
        if ran.failures.errors:
            task = " --task TASK" if hasattr(ran, "report") else ""  # what was logged does not know its task
            console.print(
                f"  see what failed with `prefect-experiments runs {ran.experiment_id} --failed`, "
                f"try it again with `prefect-experiments resume {ran.experiment_id}{task}`"
            )
        if ran.comparison is not None:
            print_comparison(ran.comparison, console)
        elif ran.verdict is not None:
            print_verdict(ran.verdict, console)
        print_written(reports, console, ran.flow_run_url)

    return Answer(lambda: {**ran.to_dict(), "written": reports.paths}, show, _exit_code(ran), ran.experiment_id)


def _exit_code(ran: RanExperiment) -> int:
    """What the gate says; but where every call failed, there is nothing that it could judge."""
    if ran.failures.every_call_of(ran.asked) and not ran.logged:
        return UNFINISHED
    return ran.verdict.exit_code if ran.verdict else DONE


def _tried(ran: RanExperiment) -> Answer:
    """The answer of a dry run: nothing is kept, so the rows themselves are shown."""
    rows = records(ran.to_dataframe())

    def show(console: Console) -> None:
        from prefect_experiments.reports.terminal import print_errors

        for row in rows[:_MOST_SHOWN]:
            wanted = {name: row[name] for name in ("input", "expected", "output", "error") if row[name] is not None}
            scores = {
                name.removeprefix("eval."): value
                for name, value in row.items()
                if name.startswith("eval.") and value is not None
            }
            print_fields(console, f"example {row['example_id']}", {**wanted, **scores})
        if len(rows) > _MOST_SHOWN:
            console.print(f"and {len(rows) - _MOST_SHOWN} more; --json has them all")
        console.print(score_table(ran.summary))
        print_errors(ran, console)
        console.print("A dry run: nothing was kept.")

    failed = {key: value for key, value in ran.to_dict().items() if key in ("errors", "every_call_failed")}
    data = {"dry_run": True, "summary": ran.summary.to_dict(), **failed, "experiment_runs": rows}
    return Answer(data, show, _exit_code(ran))
