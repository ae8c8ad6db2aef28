"""What the public calls take: the keywords of run, resume, evaluate, log and compare, as models. No Prefect in it.

`options` has those that the command line and the flows' forms share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import Field

from prefect_experiments.analysis.gate import Gate
from prefect_experiments.analysis.results import ResultTable
from prefect_experiments.analysis.verdicts import Direction
from prefect_experiments.backends import Remote
from prefect_experiments.evaluators import BoundEvaluator, Evaluator
from prefect_experiments.models import (
    Dataset,
    EvaluationResultFieldNames,
    Example,
    Experiment,
    ExperimentTaskFieldNames,
)
from prefect_experiments.options import (
    AsIs,
    Begun,
    CallOptions,
    EvaluationOptions,
    Must,
    Named,
    Options,
    Selection,
)
from prefect_experiments.store import Store

MOST_POOLED = 30
"""More than a month's runs are no baseline."""


class SpeaksArrow(Protocol):
    """A table of pandas, polars, pyarrow or another library that speaks Arrow."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class GivesFrame(Protocol):
    """What has a table inside, such as what list calls give."""

    def to_df(self) -> object:
        """The table."""


class GivesDataFrame(Protocol):
    """What has a table inside, such as a `RanExperiment`."""

    def to_dataframe(self) -> object:
        """The table."""


class HasEvaluate(Protocol):
    """An object that evaluates: one of ours, of phoenix-evals or of pydantic-evals."""

    @property
    def evaluate(self) -> Callable[..., Any]:
        """Gives what is known of an output."""


class Place(Protocol):
    """Where experiments are kept: what a `Client` or an `AsyncClient` has."""

    @property
    def store(self) -> Store:
        """What is written to first."""

    @property
    def remote(self) -> Remote | None:
        """The backend, if it is not the store."""


Rows = Iterable[Mapping[str, Any] | Example] | SpeaksArrow | GivesFrame | GivesDataFrame
TaskSource = Callable[..., Any] | str
EvaluatorSource = Evaluator | HasEvaluate | BoundEvaluator | Callable[..., Any] | str
EvaluatorSources = (
    EvaluatorSource | Sequence[EvaluatorSource | Mapping[str, Any]] | Mapping[str, EvaluatorSource | Any] | None
)
DatasetSources = Dataset | Rows | str | Path
Results = Rows | Mapping[str, Sequence[Any]] | str | Path
ExperimentKey = str | Experiment | Mapping[str, Any]
Side = ExperimentKey | Results | ResultTable
GateSource = Gate | Mapping[str, Any] | str | Path


class Placed(Options):
    """Where an experiment is kept."""

    client: Annotated[Place | None, AsIs] = None
    """the `Client` whose store and backend to use; by default, those that the settings name."""


class InBackend(Options):
    """The backend of a new experiment."""

    backend: str | None = None
    """where the experiment is kept: ``local``, ``phoenix``, ``arize``, another one that is installed, or a saved block
    such as ``phoenix-credentials/prod``; by default the client's, else what the settings say, else ``local``. Results
    go to the store first in any case, and from there to the backend."""


class PooledBaseline(Options):
    """Of how many runs the baseline is made."""

    pooled: Annotated[int, Field(ge=1, le=MOST_POOLED)] = 1
    """the baseline is the mean of so many runs, example by example: the baseline's own experiment, and the first whole
    ones after it of the same dataset, task and repetitions that their gate did not fail. There may be fewer yet."""


class Judged(PooledBaseline):
    """What becomes of the result."""

    baseline: Annotated[Side | None, AsIs] = None
    """what the result is compared with: an id, a name, ``tag:NAME``, ``latest``, ``latest:NAME``, a `RanExperiment`,
    or a table of results. A tag is no error where no experiment of the dataset has one yet: that is the first run."""
    first_run: bool = False
    """there may be no baseline of that tag yet, though other experiments of the dataset have tags: then the gate judges
    this run alone."""
    gate: Annotated[GateSource | None, AsIs] = None
    """turns the comparison into a verdict: a `Gate`, a mapping of its fields, or the path of a YAML or JSON file. The
    flow run ends failed where the gate fails; the call returns all the same, with ``comparison`` and ``verdict``."""


class Shown(Options):
    """What is said of the result."""

    print_summary: bool = True
    """print the scores at the end."""


class Traced(Options):
    """What is done about traces."""

    set_global_tracer_provider: bool = False
    """make our tracer provider OpenTelemetry's global one where none is set, so that spans that the task or an
    instrumentor makes belong to the run's trace."""


class Subject(Options):
    """What a new experiment is about."""

    dataset: Annotated[DatasetSources, AsIs]
    """a `Dataset`, the name or id of one, the path of a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file, a DataFrame
    or another table that speaks Arrow, or a list of examples or mappings; or the path of a .json file of pixie's, which
    brings its task and evaluators."""
    task: Annotated[TaskSource | None, AsIs] = None
    """the function under test, or a reference ``package.module:name`` or ``path/file.py:name``; by default the
    dataset's own, where it brings one. It may take any of ``input, expected, reference, output, metadata, example,
    dataset_row`` by name; its only parameter gets ``input``."""
    evaluators: Annotated[EvaluatorSources, AsIs] = None
    """one, a list, or ``{name: evaluator}``; callables, `Evaluator` objects, evaluators of phoenix-evals, autoevals and
    pydantic-evals, references, names of built-ins; by default the dataset's own, where it brings some."""
    types: Annotated[Mapping[str, str] | None, AsIs] = None
    """by column of a file or a table, what its cells are: ``text``, ``number``, ``bool`` or ``json``. A CSV file has no
    types: where nothing is said, its cells are text."""


# Bases stand in reverse: the last one's fields come first.
class NewArguments(InBackend, Shown, Traced, Judged, CallOptions, Selection, Begun, Subject):
    """What starts a new experiment, in whatever spelling."""


class RunArguments(NewArguments, Named):
    """What `run_experiment` takes."""

    experiment_metadata: Annotated[Mapping[str, Any] | None, AsIs] = None
    """a JSON object."""
    dry_run: Annotated[bool | Annotated[int, Field(ge=1)], Must("be a whole number of at least 1")] = False
    """``True`` for one random example, a number for that many. Nothing is written, and neither Prefect nor a backend is
    called. Baseline and gate are looked at, to see whether they can be used, but a few examples are neither compared
    nor judged."""


class Continued(Options):
    """What goes on with an experiment."""

    dataset: str | None = None
    """name or id of the dataset that a name, a tag or ``latest`` is looked for in."""


class OfExperiment(Options):
    """Which experiment."""

    experiment: Annotated[ExperimentKey, AsIs]
    """id, name, ``tag:NAME``, ``latest``, ``latest:NAME``, an `Experiment` or a `RanExperiment`."""


class ResumeOptions(Shown, Traced, Judged, CallOptions, Continued):
    """How an experiment is gone on with."""

    task: Annotated[TaskSource | None, AsIs] = None
    """the task; by default the experiment's own, found again by its reference."""
    evaluators: Annotated[EvaluatorSources, AsIs] = None
    """further ones, or new states of those there are; the experiment's own are found again by their references."""


class ResumeArguments(ResumeOptions, OfExperiment):
    """What `resume_experiment` takes."""


class EvaluateOptions(Shown, Traced, EvaluationOptions, Continued):
    """How an experiment's outputs are evaluated."""

    evaluators: Annotated[EvaluatorSources, AsIs]
    """as for `run_experiment`."""
    dataset_version: str | None = None
    """score the outputs beside the examples of this version of the dataset, an id, a number or ``latest``, as an
    experiment of its own: the answers may have been corrected since. By default the experiment's own version."""


class EvaluateArguments(EvaluateOptions, OfExperiment):
    """What `evaluate_experiment` takes."""


class LogRequest(Options):
    """What is to be logged, in whatever way."""

    name: Annotated[str, AsIs]
    """the experiment's. Names need not be unique, but AX asks for it."""
    experiment_runs: Annotated[Results, AsIs]
    """a DataFrame or another table that speaks Arrow, a list of mappings of column to value, or the path of a .csv,
    .tsv, .json, .jsonl, .parquet or .xlsx file. Understood are ``repetition_number`` (from 1; 1 without), ``error`` (a
    text where the run failed), ``status`` (``ok`` or ``error``), ``latency_ms``, ``start_time``, ``end_time`` (ISO
    8601; without, the run ended now), ``token_count``, ``total_cost`` (US dollars), ``trace_id``,
    ``eval.NAME.score|label|explanation|error``, ``annotation.NAME.score|label|text``, ``metadata`` (an object),
    ``metadata.KEY``. All other columns are kept as metadata of the runs."""
    dataset: Annotated[DatasetSources | None, AsIs] = None
    """what the results are of, as for `run_experiment`. Without one, the rows are examples of their own, by their
    column ``example_id`` or ``id``, else by their content: AX has the experiment in the space, on no dataset; the store
    keeps a dataset made from the rows; Phoenix takes none."""
    task_fields: Annotated[ExperimentTaskFieldNames | None, AsIs] = None
    """the columns of the example's id and of the output; by default ``example_id`` and ``output``."""
    evaluator_columns: Annotated[Mapping[str, EvaluationResultFieldNames] | None, AsIs] = None
    """by evaluator, the columns of its score, label, explanation and metadata."""
    types: Annotated[Mapping[str, str] | None, AsIs] = None
    """by column of the results, what its cells are: ``text``, ``number``, ``bool`` or ``json``. A CSV file has no
    types: outputs that are objects in it need ``types={"output": "json"}``, or they are text."""
    description: str | None = None
    """a sentence for people."""
    metadata: Annotated[Mapping[str, Any] | None, AsIs] = None
    """of the experiment, a JSON object."""
    dataset_version: str | None = None
    """id or number of a version; by default the newest."""
    splits: Annotated[str | Iterable[str] | None, AsIs] = None
    """the results are of the examples of these splits only."""
    allow: Annotated[str | Iterable[str], AsIs] = ()
    """what is no error: ``unknown``, rows that belong to no example are left out; ``doubled``, of several rows for an
    example (and repetition) the last is taken; ``missing``, examples without a row have no run."""


class LogArguments(Shown, InBackend, Judged, LogRequest):
    """What `log_experiment` takes."""


class CompareArguments(PooledBaseline):
    """What `compare_experiments` takes."""

    baseline: Annotated[Side, AsIs]
    """an id, a name, ``tag:NAME``, ``latest``, ``latest:NAME``, a `RanExperiment`, or a table of results (a
    DataFrame, rows or a file) shaped like ``RanExperiment.to_dataframe()``."""
    candidate: Annotated[Side | Sequence[object], AsIs]
    """likewise; or a list of several, each compared with the baseline."""
    gate: Annotated[GateSource | None, AsIs] = None
    """turns a comparison into a verdict: a `Gate`, a mapping of its fields, or the path of a YAML or JSON file of them.
    """
    confidence: Annotated[float | None, Field(gt=0.5, lt=1)] = None
    """of the intervals; by default the gate's, else 0.95."""
    directions: Annotated[Mapping[str, Direction] | None, AsIs] = None
    """``minimize`` for metrics of which less is better, ``neutral`` for those of which neither is; by default what the
    gate says, else what the evaluations say, else ``maximize``."""
    experiment_evaluators: Annotated[Mapping[str, Callable[..., float]] | None, AsIs] = None
    """functions over the whole table of runs of one side, by name."""
    dataset: str | None = None
    """the dataset that a name, a tag or ``latest`` is looked for in."""
    print_summary: bool = False
    """print the comparison."""


class PlanArguments(Options):
    """What `plan_experiment` takes."""

    baseline: Annotated[Side, AsIs]
    """what the plan goes by: an id, a name, ``tag:NAME``, ``latest``, ``latest:NAME``, a `RanExperiment`, or a table of
    results."""
    gate: Annotated[GateSource | None, AsIs] = None
    """the rules that are planned for: a `Gate`, a mapping of its fields, or the path of a YAML or JSON file of them; by
    default that no metric is significantly worse."""
    examples: Annotated[int | None, Field(ge=1)] = None
    """how many examples are planned; by default those of the baseline."""
    repetitions: Annotated[int | None, Field(ge=1)] = None
    """how often each is to be run, on both sides; by default as often as in the baseline."""
    drop: Annotated[float | None, Field(gt=0)] = None
    """how much worse a candidate is that has to be found, in each metric's own unit, such as 0.05; by default, only
    what the gate's margins take is planned, and the smallest drop that would be found is told."""
    agreement: Annotated[float | None, Field(ge=0, le=1)] = None
    """the share of examples that score the same when the application runs again, where neither the baseline's
    repetitions nor a second run tell; by default, runs are taken to differ like any two examples."""
    beside: Annotated[Side | None, AsIs] = None
    """a second run of the same application, named like the baseline: how far the two lie apart is measured then."""
    dataset: str | None = None
    """the dataset that a name, a tag or ``latest`` is looked for in."""
