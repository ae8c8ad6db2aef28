"""Scorers of autoevals (0.x), used as they are: ``Levenshtein()``, ``Factuality``, ``ClosedQA.partial(criteria=...)``.

They are told by what they look like, so that the library is needed only by those who use it. A scorer
is called with the task's output, the expected output and, of ``input``, ``metadata`` and the example's
columns, what it names: its parameters, or the variables of its prompt. An object with one key stands
for that key's value, as for the built-in evaluators. Its retries stay its own.
"""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
from collections.abc import Awaitable, Collection, Iterator, Mapping
from typing import Any, TypeVar

from prefect_experiments.evaluators import prompts
from prefect_experiments.evaluators.base import WHOLE, BoundEvaluator, Needs
from prefect_experiments.evaluators.functions import is_sync_in_disguise, kind_of
from prefect_experiments.evaluators.identity import identity_of
from prefect_experiments.evaluators.results import parse_named
from prefect_experiments.evaluators.scoring import unwrapped
from prefect_experiments.models import AnnotatorKind
from prefect_experiments.tasks import Fields

T = TypeVar("T")

_LIBRARY = "autoevals"
_METHODS = ("_run_eval_sync", "_run_eval_async")
_OWN = frozenset({"self", "output", "expected", "schema", "trace"})  # no column of a dataset is one of these
_SECRETS = frozenset({"client", "api_key", "base_url"})  # who asks, not what is asked
# What the library's own scorers refuse to go without, and say so in each call.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "AnswerCorrectness": ("input", "expected"),
    "AnswerRelevancy": ("input", "context"),
    "AnswerSimilarity": ("expected",),
    "ContextEntityRecall": ("expected", "context"),
    "ContextPrecision": ("input", "expected", "context"),
    "ContextRecall": ("input", "expected", "context"),
    "ContextRelevancy": ("input", "context"),
    "EmbeddingSimilarity": ("expected",),
    "ExactMatch": ("expected",),
    "Faithfulness": ("input", "context"),
    "JSONDiff": ("expected",),
    "Levenshtein": ("expected",),
    "ListContains": ("expected",),
    "NumericDiff": ("expected",),
}


def is_autoevals_scorer(obj: Any) -> bool:
    """Whether an object is a scorer as autoevals has them."""
    return not isinstance(obj, type) and all(
        callable(getattr(obj, name, None)) for name in ("eval", "eval_async", *_METHODS)
    )


def bind_autoevals(obj: Any) -> BoundEvaluator:
    """A scorer, ready to be called."""
    found = getattr(obj, "_name", None)
    name = str(found() if callable(found) else type(obj).__name__)
    fixed = frozenset(_fixed(obj))
    scorer = _Scorer(obj, _named(obj), fixed, asynchronous=_is_async(obj))
    return BoundEvaluator(
        name=name,
        kind=_kind(obj, name),
        function=scorer,
        binding=WHOLE,
        is_async=scorer.asynchronous,
        fingerprint=identity_of(obj, [_state(obj), _fixed(obj)], library=_LIBRARY),
        parse=functools.partial(parse_named, name),
        needs=_needs(obj, fixed),
    )


class _Scorer:
    """Calls a scorer with what it takes of an example.

    Attributes:
        asynchronous: whether calling it gives an awaitable.
    """

    def __init__(self, obj: Any, named: Collection[str] | None, fixed: Collection[str], *, asynchronous: bool) -> None:
        self._call = obj.eval_async if asynchronous else obj.eval
        self._named = named
        self._fixed = fixed
        self.asynchronous = asynchronous

    def __call__(self, fields: Fields) -> Any:
        output, expected = unwrapped(fields.output(), fields.expected())
        given = {
            name: value
            for name, value in _fields(fields).items()
            if name not in self._fixed and (self._named is None or name in self._named)
        }
        found = self._call(output, None if "expected" in self._fixed else expected, **given)
        return without_leftovers(found) if self.asynchronous else found


async def without_leftovers(work: Awaitable[T]) -> T:
    """What a scorer's work gives. Scorers begin several parts at once: where one fails, the others are closed."""
    try:
        return await work
    except BaseException as error:  # also where it is cancelled
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if str(frame.f_globals.get("__name__")).partition(".")[0] == _LIBRARY:
                _close(list(frame.f_locals.values()))
        raise


def _close(value: Any) -> None:
    """Close coroutines that nobody awaits any more, of which Python would warn, somewhere else."""
    if isinstance(value, list):
        for one in value:
            _close(one)
    elif inspect.iscoroutine(value) and inspect.getcoroutinestate(value) == inspect.CORO_CREATED:
        value.close()


def _fields(fields: Fields) -> dict[str, Any]:
    """What a scorer may be given beside the output and the expected output."""
    value = fields.input()
    if isinstance(value, Mapping) and len(value) == 1:
        (value,) = value.values()
    row = {name: value for name, value in fields.dataset_row().items() if name not in _OWN}
    return {**row, "input": value, "metadata": fields.metadata()}


def _named(obj: Any) -> frozenset[str] | None:
    """The names that a scorer takes; ``None`` for all there are, where it is of the user's own making."""
    names = {variable.partition(".")[0] for variable in prompt_variables(obj)}
    for method in _METHODS:
        owner = _owner(obj, method)
        parameters = inspect.signature(getattr(owner, method)).parameters.values()
        if any(p.kind is p.VAR_KEYWORD for p in parameters) and not _is_the_library_s(owner):
            return None
        names.update(p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL))
    return frozenset(names - _OWN)


def prompt_variables(obj: Any) -> list[str]:
    """The variables of its prompt that it does not fill itself."""
    filled = getattr(obj, "render_args", None) or {}
    found = prompts.variables(prompts.texts_of(getattr(obj, "messages", None)))
    return [name for name in found if name.partition(".")[0] not in filled]


def _needs(obj: Any, fixed: Collection[str]) -> Needs:
    needed = _NEEDED.get(type(obj).__name__, ()) if _is_the_library_s(_owner(obj, _METHODS[0])) else ()
    # That there is an expected output is asked for by itself.
    given = {*fixed, "output"}
    wanted = [
        name
        for name in dict.fromkeys([*needed, *prompt_variables(obj)])
        if name.partition(".")[0] not in given and name != "expected"
    ]

    def names(fields: Fields) -> dict[str, Any]:
        return {"output": None, "expected": fields.expected(), **_fields(fields)}

    def missing(fields: Fields) -> list[str]:
        there = {**_fields(fields), "expected": fields.expected()}
        return [name for name in wanted if not prompts.is_filled(name, there)]

    expected = "expected" in needed or "expected" in prompt_variables(obj)
    return Needs(expected=expected and "expected" not in fixed, missing=missing, names=names)


def _fixed(obj: Any) -> dict[str, Any]:
    """What ``Scorer.partial(...)`` has filled."""
    partial = getattr(type(obj), "_partial_args", None)
    return dict(partial()) if callable(partial) else {}


def _scorers(obj: Any) -> Iterator[Any]:
    """A scorer and those that it is made of."""
    yield obj
    for part in vars(obj).values():
        if is_autoevals_scorer(part):
            yield from _scorers(part)


def _kind(obj: Any, name: str) -> AnnotatorKind:
    """What it says itself; else ``LLM`` where it, or a part of it, asks a model."""
    said = kind_of(obj, name, own_words=False)
    return "LLM" if said == "CODE" and any(hasattr(one, "client") for one in _scorers(obj)) else said


def _is_async(obj: Any) -> bool:
    """Whether to await it: its async method does the work, and its client, if it has one, is asynchronous.

    Each scorer has an `eval_async`. Where it only calls the sync one it would hold up the event loop,
    and with a client for sync calls it fails; the sync one goes to the engine's threads.
    """
    owner = _owner(obj, "_run_eval_async")
    if is_sync_in_disguise(vars(owner)["_run_eval_async"], "_run_eval_sync"):
        return False
    clients = [_client(one) for one in _scorers(obj) if hasattr(one, "client")]
    if clients:
        return all(map(_is_async_client, clients))
    return not _is_the_library_s(owner)


def _client(scorer: Any) -> Any:
    """A scorer's own client, else the one that was given to ``autoevals.init``."""
    module = sys.modules.get("autoevals.oai")
    shared = getattr(module, "_client_var", None)
    return scorer.client or (shared.get(None) if shared is not None else None)


def _is_async_client(client: Any) -> bool:
    if isinstance(told := getattr(client, "is_async", None), bool) and told:
        return True
    return any(c.__name__.startswith("Async") for c in type(getattr(client, "openai", client)).__mro__)


def _owner(obj: Any, method: str) -> type:
    """The class that a method of an object is of."""
    return next(c for c in type(obj).__mro__ if method in vars(c))


def _is_the_library_s(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == _LIBRARY


def _state(obj: Any) -> dict[str, Any]:
    """What it was made with, its parts likewise; not by which way it reaches its model."""
    found: dict[str, Any] = {}
    for name, value in vars(obj).items():
        if name in _SECRETS:
            continue
        if is_autoevals_scorer(value):
            found[name] = [type(value).__qualname__, _state(value), _fixed(value)]
        elif isinstance(value, Mapping):
            found[name] = {key: item for key, item in value.items() if key not in _SECRETS}
        else:
            found[name] = value
    return found
