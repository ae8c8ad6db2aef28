"""One place for each parameter: calls, commands and forms have the names, defaults, bounds and words of the models."""

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.util
import inspect
import json
import math
import types
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from prefect.utilities.callables import parameter_schema

import prefect_experiments as px
from prefect_experiments import Gate, Metric
from prefect_experiments import options as shared
from prefect_experiments.cli import running
from prefect_experiments.cli.app import app
from prefect_experiments.errors import InvalidInput, InvalidSetting
from prefect_experiments.experiment import arguments as models
from prefect_experiments.options import CallOptions, EvaluationOptions, Options, Sample, Selection, described, names_of
from prefect_experiments.orchestration.deployed.parameters import CallLimits, SampleRules
from prefect_experiments.signatures import takes

ROOT = Path(__file__).resolve().parents[1]
CALLS = {
    "run_experiment": models.RunArguments,
    "resume_experiment": models.ResumeArguments,
    "evaluate_experiment": models.EvaluateArguments,
    "log_experiment": models.LogArguments,
    "compare_experiments": models.CompareArguments,
    "plan_experiment": models.PlanArguments,
}


def every_model() -> list[type[Options]]:
    importlib.import_module("prefect_experiments.client")
    found, new = set(), [Options]
    while new:
        new = [sub for model in new for sub in model.__subclasses__() if sub.__module__.startswith("prefect_exp")]
        found.update(new)
    return sorted(found, key=lambda model: model.__qualname__)


@pytest.mark.parametrize("model", every_model(), ids=lambda model: model.__name__)
def test_every_parameter_is_described(model: type[Options]) -> None:
    assert {name for name, words in described(model).items() if not words.endswith(".")} == set()


@pytest.mark.parametrize("model", every_model(), ids=lambda model: model.__name__)
def test_every_model_is_whole(model: type[Options]) -> None:
    """All types that it names are there."""
    assert model.model_rebuild(force=True, raise_errors=True)


@pytest.mark.parametrize("name", CALLS)
def test_calls_have_the_parameters_of_their_model(name: str) -> None:
    model, call, twin = CALLS[name], getattr(px, name), getattr(px, f"a{name}")
    parameters = inspect.signature(call).parameters
    assert list(parameters) == [*model.model_fields, "client"]
    for field, what in model.model_fields.items():
        parameter = parameters[field]
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is inspect.Parameter.empty if what.is_required() else True
        if not what.is_required() and (name, field) != ("compare_experiments", "print_summary"):
            assert parameter.default == what.default
    assert inspect.signature(twin) == inspect.signature(call)
    assert inspect.iscoroutinefunction(twin)
    assert call.__name__ == name
    assert twin.__name__ == f"a{name}"
    for field, words in described(model).items():
        assert f"    {field}: {words}" in call.__doc__
        assert f"    {field}: {words}" in twin.__doc__


def test_the_types_of_a_signature_are_those_of_the_model() -> None:
    types_ = get_type_hints(models.RunArguments)
    for name, parameter in inspect.signature(px.run_experiment).parameters.items():
        if name != "client":
            assert eval(parameter.annotation, {**vars(shared), **vars(models)}) == types_[name], name


def test_what_is_called_wrongly_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"run_experiment: got an unexpected keyword argument 'concurency'"):
        px.run_experiment(dataset=[], concurency=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing a required argument: 'dataset'"):
        px.run_experiment()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="too many positional arguments"):
        px.run_experiment([])  # type: ignore[misc]
    with pytest.raises(TypeError, match="'experimnt'"):
        asyncio.run(px.aresume_experiment(experimnt="latest"))  # type: ignore[call-arg]


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "concurrency": st.integers(1, 10**6),
            "timeout": st.none() | st.floats(0, exclude_min=True, allow_infinity=False),
            "retries": st.integers(0, 10**6),
            "batch_size": st.none() | st.integers(1, 10**6),
            "exit_on_error": st.booleans(),
            "rate_limit": st.none() | st.text(min_size=1).filter(str.strip),
            "budget": st.none() | st.floats(0, exclude_min=True, allow_infinity=False),
        },
    )
)
def test_values_in_bounds_are_taken_as_they_are(options: dict[str, Any]) -> None:
    made = CallOptions(**options)
    assert {**made} == {**CallOptions(), **options}
    assert CallOptions.of(made) == made
    assert EvaluationOptions.of(made).concurrency == made.concurrency
    assert dict(CallLimits(**json.loads(json.dumps(options)))) == dict(made), "a form reads the same"


def out_of_bounds() -> list[tuple[str, Any]]:
    wrong: dict[str, list[Any]] = {
        "concurrency": [0, -1, 1.5, True, "10", None],
        "timeout": [0, -0.1, math.nan, "60", True],
        "retries": [-1, 1.5, True, "3", None],
        "batch_size": [0, 2.0, False, "1"],
        "exit_on_error": ["no", 2, None],
        "concurrency_limit": [3, b"x"],
        "rate_limit": [3],
        "budget": [0, -0.01, math.nan, math.inf, "5", True],
    }
    return [(name, value) for name, values in wrong.items() for value in values]


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", None, 1_000_001])
def test_repetitions_out_of_bounds_are_refused_in_calls_and_forms(value: Any) -> None:
    with pytest.raises(InvalidSetting, match="repetitions must be a whole number"):
        models.RunArguments(dataset=[], repetitions=value)
    schema = parameter_schema(flow("regression")).model_dump()
    form = schema["definitions"]["Options"]["properties"]["repetitions"]
    assert (form["minimum"], form["maximum"]) == (1, 1_000_000)
    assert not Draft202012Validator(form).is_valid(value)


@pytest.mark.parametrize(("name", "value"), out_of_bounds())
@pytest.mark.parametrize("make", [CallOptions, lambda **given: models.RunArguments(dataset=[], **given)])
def test_values_out_of_bounds_are_refused_by_name(make: Any, name: str, value: Any) -> None:
    with pytest.raises(InvalidSetting) as refused:
        make(**{name: value})
    assert str(refused.value).startswith(f"{name} must be ")
    assert str(refused.value).endswith(f"got {value!r}")


def test_a_model_says_which_parameter_it_does_not_know() -> None:
    with pytest.raises(InvalidSetting, match="unknown parameter 'concurency'; did you mean 'concurrency'"):
        CallOptions(concurency=3)  # type: ignore[call-arg]


def test_what_a_call_does_where_nobody_says_otherwise() -> None:
    """Users' nights and bills depend on these: whoever changes one writes it into CHANGELOG."""
    assert {**CallOptions()} == {
        "timeout": 60,
        "retries": 3,
        "rate_limit_errors": None,
        "concurrency": 10,
        "batch_size": None,
        "concurrency_limit": None,
        "rate_limit": None,
        "budget": None,
        "task_runner": None,
        "workers": 2,
        "exit_on_error": False,
    }


def test_options_stay_as_they_are() -> None:
    with pytest.raises(ValueError, match="frozen"):
        CallOptions().retries = 3  # type: ignore[misc]


def test_a_call_option_is_written_down_once() -> None:
    """In what people call, and what lies directly below, nothing but its model has it as a field or a parameter."""
    below = {"engine", "backends", "tracing", "workers", "sharing.py"}
    paths = [path for path in (ROOT / "src").rglob("*.py") if not below & set(path.parts)]
    for path in [*paths, *(ROOT / "flows").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                names = {ast.unparse(field.target) for field in node.body if isinstance(field, ast.AnnAssign)}
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = {argument.arg for argument in [*node.args.args, *node.args.kwonlyargs]}
            else:
                continue
            spelled = names & CallOptions.model_fields.keys()
            # AX's usual timeout is another one, and the flow's page shows how wide it works.
            allowed = {"RunInSpace": {"timeout"}, "experiment_flow": {"concurrency"}}.get(node.name, set())
            assert path.name == "options.py" or spelled == allowed, f"{path.name}: {node.name}"


# --- commands ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "model"),
    [
        (running.Limits, EvaluationOptions),
        (running.RunLimits, CallOptions),
        (running.Selection, Selection),
        (running.Beginning, running.Beginning.model),
    ],
)
def test_commands_offer_all_that_there_is(group: Any, model: type[Options]) -> None:
    assert {name: value for name, value in group().arguments().items() if name in model.model_fields} == {**model()}


@pytest.mark.parametrize(
    ("option", "given", "argument"),
    [
        ("--concurrency", "7", ("concurrency", 7)),
        ("--timeout", "0", ("timeout", None)),
        ("--timeout", "1.5", ("timeout", 1.5)),
        ("--retries", "0", ("retries", 0)),
        ("--rate-limit-error", "a:B", ("rate_limit_errors", ["a:B"])),
        ("--batch-size", "5", ("batch_size", 5)),
        ("--concurrency-limit", "x", ("concurrency_limit", "x")),
        ("--rate-limit", "y", ("rate_limit", "y")),
        ("--budget", "2.5", ("budget", 2.5)),
        ("--exit-on-error", "", ("exit_on_error", True)),
    ],
)
def test_what_a_command_reads_is_what_the_call_takes(option: str, given: str, argument: tuple[str, Any]) -> None:
    line = ["run", "d", "--task", "a:b", option, *filter(None, [given])]
    _, bound, _ = app.parse_args(line, exit_on_error=False, print_error=False)
    name, value = argument
    found = bound.arguments["limits"].arguments()[name]
    assert (found, type(found)) == (value, type(value))


def test_commands_select_examples() -> None:
    line = ["run", "d", "--task", "a:b", "--split", "x", "--split", "y", "--dataset-version", "3", "--sample-n", "5"]
    _, bound, _ = app.parse_args(
        [*line, "--sample-method", "head", "--type", "a=json"], exit_on_error=False, print_error=False
    )
    assert bound.arguments["selection"].arguments() == {
        "splits": ["x", "y"],
        "dataset_version": "3",
        "sample": Sample(n=5, method="head"),
        "types": {"a": "json"},
    }


# --- forms ------------------------------------------------------------------------------------


def flow(name: str) -> Any:
    where = importlib.util.spec_from_file_location(name, ROOT / "flows" / f"{name}.py")
    assert where is not None
    assert where.loader is not None
    module = types.ModuleType(name)
    where.loader.exec_module(module)
    return getattr(module, name)


@pytest.mark.parametrize("name", ["regression", "deployment_evaluation", "meta_evaluation"])
def test_forms_have_every_call_option_with_its_bounds_and_words(name: str) -> None:
    schema = parameter_schema(flow(name)).model_dump()
    form = schema["definitions"]["CallLimits"]
    assert set(form["properties"]) == set(CallOptions.model_fields)
    for option, field in CallOptions.model_fields.items():
        assert form["properties"][option]["default"] == field.default
        words = form["properties"][option]["description"]
        assert words[0].isupper()
        assert "`" not in words
        assert "None" not in words
    assert form["properties"]["concurrency"]["minimum"] == 1
    assert form["additionalProperties"] is False
    assert "limits" in schema["definitions"]["Options"]["properties"]
    # Prefect's server checks what comes back from the form by this schema.
    Draft202012Validator({**form, "definitions": schema["definitions"]}).validate({**CallOptions()})


def test_forms_read_texts_as_events_give_them() -> None:
    limits = CallLimits(concurrency="4", timeout="1.5", exit_on_error="true", rate_limit_errors=[])  # type: ignore[arg-type]
    assert {**limits} == {**CallOptions(concurrency=4, timeout=1.5, exit_on_error=True)}
    assert {**SampleRules(n="3")} == {**Sample(n=3)}  # type: ignore[arg-type]
    for make, wrong in ((CallLimits, {"concurrency": "0"}), (SampleRules, {"n": 3, "fraction": 0.5})):
        with pytest.raises(InvalidInput):
            make(**wrong)  # type: ignore[arg-type]


class More(CallOptions):
    """With one more."""

    pause: float = 0
    """seconds before each call."""


def test_a_parameter_of_a_call_is_a_field_with_its_words() -> None:
    @takes(More)
    def call(given: More) -> float:
        """Call."""
        return given.pause

    assert call(pause=1.5) == 1.5
    assert "pause: seconds before each call." in call.__doc__


@pytest.mark.parametrize(
    "after",
    [
        "",
        "\n\nReturns:\n    it.",
        "\n\nRaises:\n    Error: or not.",
        "\n\nReturns:\n    it.\n\nRaises:\n    E: or not.",
    ],
)
def test_the_parameters_stand_before_what_a_call_gives_and_raises(after: str) -> None:
    def call(given: More) -> float:
        return given.pause

    call.__doc__ = f"Call.{after}"
    words = "".join(f"\n    {name}: {words}" for name, words in described(More).items())
    assert takes(More)(call).__doc__ == f"Call.\n\nArgs:{words}{after}\n"


def test_numbers_of_numpy_are_numbers() -> None:
    made = CallOptions(
        concurrency=np.int64(2), retries=np.uint8(0), timeout=np.float32(2), exit_on_error=np.bool_(True)
    )
    assert made == CallOptions(concurrency=2, retries=0, timeout=2.0, exit_on_error=True)
    assert Sample(n=np.int32(3)) == Sample(n=3)


@pytest.mark.parametrize("model", [CallOptions, Sample, Gate, Metric])
def test_the_models_tell_their_fields(model: Any) -> None:
    assert list(inspect.signature(model).parameters) == list(model.model_fields)


RUNNERS = "processes, dask, ray, deployment:NAME"


class Runner:
    """As a task runner of Prefect's."""

    def submit(self) -> None: ...


@pytest.mark.parametrize(
    ("model", "wrong", "message"),
    [
        (CallOptions, {"concurrency": 0}, "concurrency must be a whole number of at least 1, got 0"),
        (CallOptions, {"concurrency": "10"}, "concurrency must be a whole number of at least 1, got '10'"),
        (CallOptions, {"workers": 10**6 + 1}, "workers must be a whole number of at most 1,000,000, got 1000001"),
        (CallOptions, {"retries": -1}, "retries must be a whole number of at least 0, got -1"),
        (CallOptions, {"timeout": 0}, "timeout must be above 0 seconds (or None for no limit), got 0"),
        (CallOptions, {"budget": "x"}, "budget must be above 0 US dollars (or None for no limit), got 'x'"),
        (CallOptions, {"exit_on_error": "no"}, "exit_on_error must be a valid boolean, got 'no'"),
        (CallOptions, {"rate_limit": " "}, "rate_limit must be the name of a global concurrency limit, got ' '"),
        (CallOptions, {"concurrency_limit": ""}, "concurrency_limit must be the name of a global concurrency limit, "
         "got ''"),
        (CallOptions, {"concurency": 1}, "unknown parameter 'concurency'; did you mean 'concurrency'? Known: timeout, "
         "retries, rate_limit_errors, concurrency, batch_size, concurrency_limit, rate_limit, budget, task_runner, "
         "workers, exit_on_error"),
        (CallOptions, {"task_runner": "proceses"}, "unknown task_runner 'proceses'; did you mean 'processes'? Known: "
         f"{RUNNERS}"),
        (CallOptions, {"task_runner": "deployment: "}, "unknown task_runner 'deployment: '; did you mean "
         f"'deployment:NAME'? Known: {RUNNERS}"),
        (CallOptions, {"task_runner": "deployment:"}, f"task_runner must be {RUNNERS} or a task runner of Prefect's, "
         "got 'deployment:'"),
        (CallOptions, {"task_runner": 5}, f"task_runner must be {RUNNERS} or a task runner of Prefect's, got 5"),
        (CallOptions, {"task_runner": Runner}, f"task_runner must be {RUNNERS} or a task runner of Prefect's, got "
         f"{Runner!r}"),
        (Sample, {"fraction": 1.5}, "Sample.fraction must be above 0 and at most 1, got 1.5"),
        (Sample, {"fraction": "x"}, "Sample.fraction must be a finite number, got 'x'"),
        (Sample, {"n": 1, "seed": "x"}, "Sample.seed must be a whole number, got 'x'"),
        (Sample, {"n": 1, "method": 5}, "unknown Sample.method 5. Known: random, head, systematic, stratified"),
        (Sample, {"nn": 1}, "unknown parameter of Sample 'nn'; did you mean 'n'? Known: n, fraction, method, by, seed"),
        (Metric, {"min": "x"}, "Metric.min must be a finite number, got 'x'"),
        (Gate, {"max_error_rate": 2}, "Gate.max_error_rate must be from 0 to 1, got 2"),
        (Gate, {"max_cost": -1}, "Gate.max_cost must be at least 0, got -1"),
        (Gate, {"confidence": 1}, "Gate.confidence must be above 0.5 and below 1, such as 0.95; got 1"),
        (Gate, {"confidence": "x"}, "Gate.confidence must be a finite number, got 'x'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_a_sentence(model: Any, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        model(**wrong)
    assert str(refused.value) == message


@pytest.mark.parametrize("given", [None, "dask", "deployment:f/d", Runner()])
def test_where_the_calls_are_made_is_written_down_by_its_name(given: Any) -> None:
    made = CallOptions(task_runner=given)
    assert made.task_runner is given
    kept = "Runner" if isinstance(given, Runner) else given
    assert made.model_dump()["task_runner"] == kept
    for errors, references in (
        (None, None),
        (OSError, ["builtins:OSError"]),
        ("a:B", ["a:B"]),
        ([json.JSONDecodeError, "a:B"], ["json.decoder:JSONDecodeError", "a:B"]),
    ):
        assert CallOptions(rate_limit_errors=errors).model_dump()["rate_limit_errors"] == references


def test_one_split_or_several() -> None:
    assert (names_of(None), names_of("ab"), names_of([]), names_of({"b": 1})) == ((), ("ab",), (), ("b",))
    assert names_of(name for name in "ba") == ("b", "a")
    with pytest.raises(InvalidSetting, match=r"^splits must be a name or a list of names, got \['a', None\]$"):
        names_of(["a", None])  # type: ignore[list-item]


@pytest.mark.parametrize("splits", [1, [1], True])
def test_splits_that_are_no_names(splits: Any) -> None:
    with pytest.raises(InvalidSetting, match="splits must be a name or a list of names"):
        names_of(splits)
