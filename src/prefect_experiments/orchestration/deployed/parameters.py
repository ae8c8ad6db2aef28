"""What flows take as parameters: forms in Prefect's UI, and values in a deployment's YAML.

Every field says what it is for, because the form shows that and nothing else. A `Sample` and the limits of a call
are forms as they are; what other fields may hold is checked by what they are made into, such as a `Gate`.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model, field_validator, model_validator

from prefect_experiments import datasets
from prefect_experiments.allowed import check_path
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.analysis.gate.alarm_rule import MONTHLY
from prefect_experiments.errors import InvalidSetting
from prefect_experiments.experiment.dataset_files import check_readable, opened
from prefect_experiments.experiment.naming import check_tag
from prefect_experiments.models import Dataset, EvaluationResultFieldNames, ExperimentTaskFieldNames
from prefect_experiments.options import CallOptions, Sample, described
from prefect_experiments.references import load_reference
from prefect_experiments.tasks import is_prefect_task


def _as_in_a_form(schema: dict[str, Any], model: type[Any]) -> None:
    """Say what each field means, and ``None`` as a form has it."""
    for name, words in described(model).items():
        plain = words.replace("``None``", "empty").replace("`", "")
        schema["properties"][name]["description"] = plain[0].upper() + plain[1:]


FROM_OPTIONS = ConfigDict(strict=False, json_schema_extra=_as_in_a_form)
"""For a form that is made of a model of `options`: a form, or an event, gives a number as a text."""


class Form(BaseModel):
    """A part of a form: a field that it does not know is a mistake of spelling."""

    model_config = ConfigDict(extra="forbid")


TagName = Annotated[str, Field(min_length=1), AfterValidator(check_tag)]
"""A tag that an experiment is to get: one that it cannot have is refused before anything runs."""


ProjectPath = Annotated[str, AfterValidator(check_path)]
"""A path that is refused before anything runs where references are limited and it is outside the project."""


def _check_source(source: str) -> str:
    return check_path(source) if datasets.is_path(source) else source


Source = Annotated[str, Field(min_length=1), AfterValidator(_check_source)]
"""A dataset, an experiment or a table of results: by name or id, or a path as of `ProjectPath`."""


class Columns(Form):
    """Which columns of a file make an example; for kept datasets, and for files with columns input and output, none."""

    input: list[str] = Field(default_factory=list, description="Columns that make the input.")
    output: list[str] = Field(default_factory=list, description="Columns that make the expected output.")
    metadata: list[str] = Field(default_factory=list, description="Columns that make the metadata.")
    splits: str | None = Field(default=None, description="Column with the name, or the list of names, of splits.")
    id: str | None = Field(default=None, description="Column with the examples' ids; else the column id, if any.")
    types: dict[str, Literal["text", "number", "bool", "json"]] = Field(
        default_factory=dict, description="By column, what its cells are. A CSV file has no types: else they are text."
    )

    def keys(self) -> dict[str, Any]:
        """As `Datasets.create_dataset` takes them."""
        return {
            "input_keys": self.input or None,
            "output_keys": self.output or None,
            "metadata_keys": self.metadata or None,
            "split_key": self.splits,
            "id_key": self.id,
            "types": dict(self.types) or None,
        }


def dataset_of(
    dataset: str, columns: Columns | None = None, *, brings_task: bool = False, brings_evaluators: bool = False
) -> str | Dataset:
    """What to run on: the name or id of a kept dataset as it is, a file read by its columns or by pixie's rules.

    Args:
        dataset: its name or id, or the path of a file.
        columns: of a table in a file.
        brings_task: whether it must bring its task, as no other is named.
        brings_evaluators: likewise.

    Raises:
        InvalidSetting: columns for a dataset that has none; or it does not bring what it must.
        InvalidDataset: the file cannot be used.
    """
    _check_source(dataset)
    found = opened(dataset, task=brings_task, evaluators=brings_evaluators)
    lacking = [what for what, wanted in (("task", brings_task), ("evaluators", brings_evaluators)) if wanted]
    if lacking and not isinstance(found, Dataset):
        check_readable(dataset)
        raise InvalidSetting(
            f"{' and '.join(lacking)} {'is' if lacking == ['task'] else 'are'} missing; only a pixie dataset brings "
            f"its own, and {dataset!r:.200} is none"
        )
    if isinstance(found, Dataset):
        if columns is not None:
            raise InvalidSetting(f"columns are for tables, and {dataset!r:.200} is a pixie dataset, which has none")
        return found
    if columns is None:
        return dataset
    if not datasets.is_path(dataset):
        raise InvalidSetting(f"columns are for files; the dataset {dataset!r} is kept with its examples as they are")
    return Dataset(name=Path(dataset).stem, examples=datasets.load(dataset, **columns.keys()))


def task_of(reference: str | None, **known: Any) -> Any:
    """The task, with those of the known values filled in that it takes by name; ``None`` where the dataset brings it.

    Args:
        reference: to the task.
        known: such as ``model`` and ``version``, which an event has said.

    Raises:
        InvalidReference: it leads nowhere.
    """
    if reference is None:
        return None
    function = load_reference(reference)
    function = getattr(function, "fn", function) if is_prefect_task(function) else function
    if not callable(function) or isinstance(function, type):
        return reference  # refused with the right words where every task is checked
    taken = inspect.signature(function).parameters
    wanted = {name: value for name, value in known.items() if name in taken}
    return functools.partial(function, **wanted) if wanted else reference


class JudgedFields(Form):
    """What a judge sees of an example with a recorded output; never the field with people's label."""

    output: str = Field(default="output", description="The recorded output, such as output.answer.")
    input: str | None = Field(default="input", description="What it gets as the input. Empty: nothing.")
    expected: str | None = Field(default=None, description="What it gets as the expected output. Empty: nothing.")
    metadata: str | None = Field(default=None, description="What it gets as the metadata. Empty: nothing.")


class SampleRules(Sample):
    """Which part of the examples to use: a number or a share of them."""

    model_config = FROM_OPTIONS


def _form_of(owner: type[Gate | Metric], base: type[Form]) -> Any:
    """A form with the fields that a gate or a metric has and `base` has not; it takes what these take."""
    fields: dict[str, Any] = {}
    for name, words in described(owner).items():
        if name not in base.model_fields:
            field = copy.copy(owner.model_fields[name])
            field.description = words
            fields[name] = (field.annotation, field)

    def usable(form: Any) -> Any:
        owner(**{name: getattr(form, name) for name in fields})
        return form

    checks: Any = {"usable": model_validator(mode="after")(usable)}
    return create_model(f"{owner.__name__}Form", __base__=base, __validators__=checks, **fields)


class _NamedMetric(Form):
    name: str = Field(min_length=1, description="The evaluator's name.")


class MetricRules(_form_of(Metric, _NamedMetric)):  # type: ignore[misc]  # a class that is made
    """What the gate asks of one metric."""


class _NamedMetrics(Form):
    metrics: list[MetricRules] = Field(default_factory=list, description=described(Gate)["metrics"])


class GateRules(_form_of(Gate, _NamedMetrics)):  # type: ignore[misc]  # a class that is made
    """The rules that turn the results into a verdict. It fails closed."""

    # Prefect's server drops all that is called `required` of a schema before it checks a deployment's parameters by it,
    # our property of that name as well, and would then refuse that as one too many.
    model_config = ConfigDict(json_schema_extra={"patternProperties": {"^required$": {}}})

    def gate(self) -> Gate:
        """The gate.

        Raises:
            InvalidSetting: values that do not go together, or two rules for one metric.
        """
        rules = self.model_dump(exclude={"metrics"})
        metrics: dict[str, Metric] = {}
        for metric in self.metrics:
            if metric.name in metrics:
                raise InvalidSetting(f"the gate has two rules for the metric {metric.name!r}; write them as one")
            metrics[metric.name] = Metric(**metric.model_dump(exclude={"name"}))
        return Gate(metrics=metrics, **rules)


def gate_of(rules: GateRules | None, file: str | None) -> Gate:
    """The gate of a form: its rules, or those of a file, or else that nothing may be worse than before.

    Raises:
        InvalidSetting: both are given, or the file cannot be used.
    """
    if rules is not None and file is not None:
        raise InvalidSetting("give the gate's rules in the form or in a file, not both")
    if file is not None:
        return Gate.parse(Path(check_path(file)))
    return Gate() if rules is None else rules.gate()


def nightly(gate: Gate) -> Gate:
    """A gate for every night: where it does not say how often it may alarm, in at most 5 % of months."""
    return gate if gate.alarms is not None else Gate.of(gate, alarms=MONTHLY)


class CallLimits(CallOptions):
    """How hard to work."""

    model_config = FROM_OPTIONS

    @field_validator("rate_limit_errors", mode="before")
    @classmethod
    def _an_empty_list_is_none(cls, errors: Any) -> Any:
        return errors or None


class ResultColumns(Form):
    """Which columns of a file of results hold what."""

    example_id: str = Field(default="example_id", description="The column with the example's id.")
    output: str = Field(default="output", description="The column with the output.")

    def fields(self) -> ExperimentTaskFieldNames:
        """As `log_experiment` takes them."""
        return ExperimentTaskFieldNames(example_id=self.example_id, output=self.output)


class EvaluatorColumns(Form):
    """Which columns of a file of results hold what one evaluator gave; at least one of them."""

    evaluator: str = Field(min_length=1, description="What the evaluator is called.")
    score: str | None = Field(default=None, description="The column with its score.")
    label: str | None = Field(default=None, description="The column with its label.")
    explanation: str | None = Field(default=None, description="The column with its explanation.")
    metadata: str | None = Field(default=None, description="The column with an object of anything else.")


def evaluator_fields(columns: Sequence[EvaluatorColumns]) -> dict[str, EvaluationResultFieldNames] | None:
    """As `log_experiment` takes them."""
    return {
        one.evaluator: EvaluationResultFieldNames(**one.model_dump(exclude={"evaluator"})) for one in columns
    } or None


LIMITS = CallLimits()
"""As they are where nobody says otherwise."""


_REFERENCES = ("task", "judge")
_PATHS = ("dataset", "file", "baseline", "candidate")


def run_name(template: str) -> Callable[[], str]:
    """A flow run's name made of its parameters: of a reference the name in it, of a path the file's.

    Args:
        template: such as ``"{task} on {dataset}"``.
    """

    def name() -> str:
        from prefect.runtime import flow_run

        return template.format_map({name: _short(name, value) for name, value in flow_run.parameters.items()})

    return name


def _short(name: str, value: Any) -> Any:
    if value is None and name in _REFERENCES:
        return "its own task"
    if not isinstance(value, str):
        return value
    if name in _REFERENCES:
        return value.rpartition(":")[2]
    return Path(value).stem if name in _PATHS and datasets.is_path(value) else value
