"""The parameters that the calls, the commands and the flows' forms share, each of them written down once.

A field of these models is a parameter's name, type, bounds, default and description. Everything else is made from it:
the keywords of the public calls (`signatures.takes`), the options of the commands (`cli.options`), and the forms in
Prefect's UI (`orchestration.deployed.parameters`). So descriptions are for all three: ``None`` in them is said as each
of these says it.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from prefect_experiments.errors import InvalidInput, InvalidSetting, unknown_value
from prefect_experiments.models import _Record
from prefect_experiments.syntax import syntax_tree

IfExists = Literal["error", "reuse", "new_version"]
"""What becomes of a dataset that has the name of one to be made."""


class AsIs:
    """Marks a field that is taken as it is given, and checked where it is used."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.any_schema()


@dataclass(frozen=True)
class Must:
    """What a field must be, in words, where its bounds alone do not say it."""

    words: str


class Options(_Record, BaseModel):
    """Base of the models: frozen, strict, and refusing with a sentence.

    Raises:
        InvalidSetting: a value that a parameter cannot have.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)
    said_before_names: ClassVar[str] = ""
    """Stands before a parameter's name in a refusal."""

    if not TYPE_CHECKING:  # what a model takes is what its fields say

        def __init__(self, /, **given: Any) -> None:
            try:
                super().__init__(**{name: _plain_scalar(value) for name, value in given.items()})
            except ValidationError as error:
                raise _refusal(type(self), error) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        keywords = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.is_required() else field.default,
                annotation=field.annotation,
            )
            for name, field in cls.model_fields.items()
        ]
        cls.__signature__ = inspect.Signature(keywords)

    @classmethod
    def of(cls, given: Options, **instead: Any) -> Self:
        """What other options say of the parameters that this model has; of some of them, something else."""
        return cls(**{name: given[name] for name in given if name in cls.model_fields} | instead)

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return iter(self.keys())

    def keys(self) -> list[str]:
        """The names of the parameters."""
        return list(type(self).model_fields)


def _plain_scalar(value: Any) -> Any:
    """Numpy's numbers and truth values as Python's, and all else as it is."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0 else value


def _refusal(model: type[Options], error: ValidationError) -> InvalidInput:
    """What is wrong with the first value that cannot be, as a sentence."""
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidInput):
        return cause
    name, value = str(first["loc"][0]), first["input"]
    field = model.model_fields.get(name)
    if field is None:
        what = f"parameter of {model.said_before_names[:-1]}" if model.said_before_names else "parameter"
        return InvalidSetting(unknown_value(what, name, list(model.model_fields)))
    if first["type"] == "missing":
        return InvalidSetting(f"{model.said_before_names}{name} is missing")
    what = f"{model.said_before_names}{name}"
    if first["type"] == "literal_error":
        known = [value for kind in (field.annotation, *get_args(field.annotation)) for value in get_args(kind)]
        return InvalidSetting(unknown_value(what, value, [str(one) for one in known if isinstance(one, str)]))
    is_number = first["type"] in _OUT_OF_BOUNDS
    must = _must(field, is_number=is_number, is_too_much=first["type"].startswith("less")) or first["msg"].removeprefix(
        "Input should "
    )
    example = f", such as {field.default:g};" if is_number and isinstance(field.default, float) else ","
    shown = f"{value!r:.100}" if field.repr else type(value).__name__  # a secret is not shown
    return InvalidSetting(f"{what} must {must}{example} got {shown}")


_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
_OUT_OF_BOUNDS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}


def _must(field: FieldInfo, *, is_number: bool, is_too_much: bool) -> str:
    """What a field must be; nothing where that cannot be said here.

    Args:
        field: the field.
        is_number: whether the value is of the right kind, and out of bounds.
        is_too_much: whether it is above them.
    """
    bounds: dict[str, float] = {}
    for found in field.metadata:
        match found:
            case Must():
                return found.words
            case Gt() | Ge() | Lt() | Le():
                bounds |= dataclasses.asdict(found)
    kinds = (field.annotation, *get_args(field.annotation))
    words = [f"{_BOUNDS[kind]} {bound:g}" for kind, bound in bounds.items()]
    if bounds.keys() == {"ge", "le"} and int not in kinds:
        words = [f"from {bounds['ge']:g} to {bounds['le']:g}"]
    if int in kinds:
        if bounds.get("le") == MOST:  # which is worth a word only to who gives more
            words = [f"at most {MOST:,}"] if is_too_much else words[:1]
        return f"be {' of '.join(filter(None, ('a whole number', ' and '.join(words))))}"
    if float in kinds and not (is_number and words):
        return "be a finite number"
    return f"be {' and '.join(words)}" if words else ""


ErrorTypes = type[BaseException] | str | Sequence[type[BaseException] | str]
"""Exception classes, or references to them."""

_TEXT = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_TEXTS = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}

MOST = 1_000_000
"""More of anything is a slip, or a number that no database keeps."""
REPETITIONS = Field(ge=1, le=MOST)
NAME = Field(min_length=1, pattern=r"\S")

SampleMethod = Literal["random", "head", "systematic", "stratified"]


def names_of(given: str | Iterable[str] | None) -> tuple[str, ...]:
    """One name, or several, or none, as a tuple.

    Raises:
        InvalidSetting: something else.
    """
    if given is None or isinstance(given, str):
        return () if given is None else (given,)
    found = tuple(given) if isinstance(given, Iterable) else None
    if found is None or not all(isinstance(name, str) for name in found):
        raise InvalidSetting(f"splits must be a name or a list of names, got {given!r:.100}")
    return found


class Sample(Options):
    """Which part of a dataset to use: a number of examples or a share of them.

    Raises:
        InvalidSetting: values that do not go together.
    """

    said_before_names: ClassVar[str] = "Sample."

    n: Annotated[int | None, Field(ge=1)] = None
    """so many examples; all of them where the dataset has fewer. Not with a fraction."""
    fraction: Annotated[float | None, Field(gt=0, le=1)] = None
    """this share of the examples, above 0 and at most 1; at least one example. Not with n."""
    method: SampleMethod = "random"
    """``random`` draws without replacement; ``head`` takes the first; ``systematic`` takes every k-th from a seeded
    start; ``stratified`` draws from each value of `by` in proportion to its share."""
    by: str | None = None
    """the field that a ``stratified`` sample is drawn by, such as ``metadata.topic`` or ``topic``."""
    seed: int = 42
    """the same seed draws the same examples."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.n is None) == (self.fraction is None):
            raise InvalidSetting(
                f"Sample takes n= or fraction=, exactly one of them; got n={self.n!r}, fraction={self.fraction!r}"
            )
        if (self.method == "stratified") != (self.by is not None):
            raise InvalidSetting(
                "Sample(method='stratified') needs by=, the field to stratify by; other methods take none; "
                f"got method={self.method!r}, by={self.by!r}"
            )
        return self


class Selection(Options):
    """Which version of a dataset, and which of its examples."""

    dataset_version: str | None = None
    """id or number of a version; by default the newest."""
    splits: Annotated[str | Iterable[str] | None, AsIs] = None
    """only the examples of these splits."""
    sample: Sample | None = None
    """only a sample of the examples, drawn after the splits were chosen."""


class Columns(Options):
    """Which columns make an example; without any of these keys, those called ``input``, ``output`` and ``metadata``."""

    input_keys: Annotated[str | Sequence[str] | None, AsIs] = None
    """the columns that make the input."""
    output_keys: Annotated[str | Sequence[str] | None, AsIs] = None
    """the columns that make the expected output."""
    metadata_keys: Annotated[str | Sequence[str] | None, AsIs] = None
    """the columns that make the metadata."""
    split_key: str | None = None
    """the column with the name, or the list of names, of splits."""
    id_key: str | None = None
    """the column with the ids; by default ``id``, where there is one."""


class Named(Options):
    """What a new experiment is called."""

    experiment_name: str | None = None
    """the experiment's name; by default the task's name and the time."""


class Begun(Options):
    """What else a new experiment is begun with."""

    experiment_description: str | None = None
    """a sentence for people."""
    repetitions: Annotated[int, REPETITIONS] = 1
    """how often each example is run."""
    idempotency_key: str | None = None
    """begin only one experiment of the dataset for this key, whoever asks, and give it the key as a tag; so ``tag:KEY``
    leads to it."""


class Attempts(Options):
    """How one call of the task or an evaluator is made."""

    timeout: Annotated[float | None, Field(gt=0), Must("be above 0 seconds (or None for no limit)")] = 60
    """seconds for one attempt of the task or an evaluator; ``None`` for no limit."""
    retries: Annotated[int, Field(ge=0, le=MOST)] = 3
    """further attempts after one that raised."""
    rate_limit_errors: Annotated[ErrorTypes | None, AsIs, WithJsonSchema(_TEXTS)] = None
    """exception classes, or references to them such as ``openai:RateLimitError``, that mean "too fast": they lower the
    rate and use up no retry. By default, errors with HTTP status 429, or whose class is called ``RateLimitError``,
    ``TooManyRequests`` or ``ResourceExhausted``."""

    @field_serializer("rate_limit_errors")
    def _as_references(self, errors: ErrorTypes | None) -> list[str] | None:
        if errors is None:
            return None
        every = [errors] if isinstance(errors, type | str) else list(errors)
        return [one if isinstance(one, str) else f"{one.__module__}:{one.__qualname__}" for one in every]


class RunsTasks(Protocol):
    """A task runner of Prefect's."""

    def submit(self, task: Any, parameters: dict[str, Any], wait_for: Any = None, dependencies: Any = None) -> Any:
        """Have a worker run a Prefect task."""

    def duplicate(self) -> Any:
        """Another one like it."""


ENGINES = ("processes", "dask", "ray")
"""The task runners that have a name."""
DEPLOYMENT = "deployment:"
"""Before the name of a deployment whose flow runs are the workers."""


class EvaluationOptions(Attempts):
    """How hard to work."""

    concurrency: Annotated[int, Field(ge=1, le=MOST)] = 10
    """calls of the task in flight at most, and as many of the evaluators."""
    batch_size: Annotated[int | None, Field(ge=1, le=MOST)] = None
    """examples for each Prefect task run; by default a size that fits."""
    concurrency_limit: Annotated[str | None, NAME, Must("be the name of a global concurrency limit")] = None
    """a global concurrency limit of Prefect's, by name, that flows share: as many of its slots are taken as there are
    calls in flight, or what there is; they are waited for."""
    rate_limit: Annotated[str | None, NAME, Must("be the name of a global concurrency limit")] = None
    """a global concurrency limit with a slot decay, by name: as many calls of all flows that name it start in a second
    as its decay says."""
    budget: Annotated[
        float | None, Field(gt=0, allow_inf_nan=False), Must("be above 0 US dollars (or None for no limit)")
    ] = None
    """US dollars that the experiment may cost, judges and earlier sessions included. When it is spent, no further call
    begins, and no attempt; what is in flight finishes, which is what is spent beyond it: at most `concurrency` attempts
    of the task and as many of the judges. All that has finished is kept, and a bigger budget goes on. An experiment
    whose cost cannot be known is refused, or stopped as soon as that is seen. Workers tell each other once a second
    what they have spent: with a task runner it is what they begin in that time that is spent beyond, too."""
    task_runner: Annotated[str | RunsTasks | None, AsIs, WithJsonSchema(_TEXT)] = None
    """where the calls are made; by default, in this process. ``processes``: in others on this machine; ``dask`` or
    ``ray``: in a local cluster of that kind; ``deployment:NAME``: in runs of that deployment's flow, on its work pool;
    in Python also a task runner of Prefect's, such as ``DaskTaskRunner(address=...)``."""
    workers: Annotated[int, Field(ge=1, le=MOST)] = 2
    """how many of them share the calls, where there is a task runner; never more than `concurrency`, which holds for
    all of them together."""

    @field_validator("task_runner")
    @classmethod
    def _is_known(cls, given: Any) -> Any:
        if given is None or (not isinstance(given, str | type) and callable(getattr(given, "submit", None))):
            return given
        if isinstance(given, str):
            if given in ENGINES or (given.startswith(DEPLOYMENT) and given.removeprefix(DEPLOYMENT).strip()):
                return given
            if given != DEPLOYMENT:
                raise InvalidSetting(unknown_value("task_runner", given, [*ENGINES, f"{DEPLOYMENT}NAME"]))
        raise InvalidSetting(
            f"task_runner must be {', '.join(ENGINES)}, {DEPLOYMENT}NAME or a task runner of Prefect's, "
            f"got {given!r:.100}"
        )

    @field_serializer("task_runner")
    def _as_name(self, given: Any) -> str | None:
        return given if given is None or isinstance(given, str) else type(given).__name__


class CallOptions(EvaluationOptions):
    """How hard to work, and when to stop."""

    exit_on_error: bool = False
    """stop at the first task error; what has finished is kept."""


def described(model: type[Options]) -> dict[str, str]:
    """What each parameter of a model means: the docstring under it, in one line."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Options):
            found |= _docstrings(base.__module__).get(base.__name__, {})
    return {name: found.get(name, "") for name in model.model_fields}


@functools.cache
def _docstrings(module: str) -> dict[str, dict[str, str]]:
    """By class of a module and attribute, the docstring under it. pydantic reads the module once for each class."""
    try:
        tree = syntax_tree(inspect.getsource(sys.modules[module]))
    except OSError:  # there is no source: an application in one file
        return {}
    found: dict[str, dict[str, str]] = {}
    for defined in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        for field, below in itertools.pairwise(defined.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found.setdefault(defined.name, {})[name] = " ".join(words.split())
    return found
