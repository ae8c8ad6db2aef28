"""The evaluators of a pixie dataset: pixie's own by their names, and the project's by ``path.py:Name``."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prefect_experiments import keys
from prefect_experiments.errors import InvalidEvaluator, needs_extra, unknown_value
from prefect_experiments.evaluators import BoundEvaluator, Needs, parse_result
from prefect_experiments.evaluators.autoevals import bind_autoevals, is_autoevals_scorer
from prefect_experiments.evaluators.base import WHOLE
from prefect_experiments.evaluators.functions import kind_of
from prefect_experiments.evaluators.identity import stable
from prefect_experiments.models import AnnotatorKind, EvaluationResult
from prefect_experiments.pixie.evaluable import evaluable
from prefect_experiments.pixie.judges import check_endpoint
from prefect_experiments.pixie.names import BUILTIN_NAMES, HEURISTICS
from prefect_experiments.pixie.project import Project
from prefect_experiments.pixie.scorers import calling, is_adapter, is_pixies, judged, judged_at_once
from prefect_experiments.reference_calls import makes_references
from prefect_experiments.tasks import Fields, is_async_callable

logger = logging.getLogger("prefect_experiments")

Judge = Callable[[Any], Any]


@makes_references
def evaluator(name: str, root: str, label: str | None = None) -> BoundEvaluator:
    """An evaluator as a pixie dataset names it.

    Args:
        name: one of pixie's 21, or ``path/to/file.py:Name`` of a class, a function, a factory or an object.
        root: the project's folder, which the path is taken from.
        label: what it is called in the experiment; by default as pixie calls it, that is by what follows the colon,
            and one that defers to an agent by its own name.

    Raises:
        InvalidEvaluator: there is none of that name, or what the name leads to is no evaluator.
        InvalidReference: the path leads nowhere, or out of the project.
    """
    name = name.strip()
    found = _custom(name, Project(Path(root))) if ":" in name else _builtin(name)
    more = "" if label is None else f", {label!r}"
    return dataclasses.replace(
        found, name=label or found.name, reference=f"prefect_experiments.pixie:evaluator({name!r}, {root!r}{more})"
    )


def _builtin(name: str) -> BoundEvaluator:
    if name not in BUILTIN_NAMES:
        raise InvalidEvaluator(
            f"{unknown_value('pixie evaluator', name, sorted(BUILTIN_NAMES))}. One of the project's own is written "
            f"as path.py:Name, such as 'pixie_qa/evaluators.py:{name}'"
        )
    with needs_extra("pixie", f"evaluator {name!r}", error=InvalidEvaluator):
        from pixie.eval import scorers
    return _bound(name, getattr(scorers, name)(), [name, *_versions()])


def _custom(name: str, project: Project) -> BoundEvaluator:
    found = _evaluator_of(name, project.load(name))
    called = name.rpartition(":")[2].strip()
    if is_pixies(found, "_AgentEvaluator"):
        called = str(found.name)
    version = getattr(found, "version", None)
    made_of = [_identity(found), version if isinstance(version, str | int) else None]
    return _bound(called, found, made_of)


def _evaluator_of(name: str, found: Any) -> Any:
    """What judges, of what a reference leads to, by pixie's rules: classes and factories are called, once."""
    if isinstance(found, type):
        found = _made(name, found, "its class")
    elif inspect.isfunction(found) and not _required(found):
        found = _made(name, found, "called without arguments, as a factory: it requires none,")
    if is_autoevals_scorer(found):
        raise InvalidEvaluator(
            f"evaluator {name!r} is a scorer of autoevals, which takes no evaluable; wrap it: "
            "pixie.AutoevalsAdapter(scorer)"
        )
    if not callable(found):
        raise InvalidEvaluator(
            f"evaluator {name!r} leads to a {type(found).__name__}, which cannot be called with an evaluable. It must "
            "be a function of one, a class whose objects can be called, or a function without parameters that gives one"
        )
    try:
        inspect.signature(found).bind(None)
    except ValueError:  # some builtins have no signature
        return found
    except TypeError as error:
        raise InvalidEvaluator(
            f"evaluator {name!r} is called with one argument, the evaluable, and cannot be: {error}"
        ) from None
    return found


def _made(name: str, factory: Callable[[], Any], how: str) -> Any:
    try:
        made = factory()
    except Exception as error:
        raise InvalidEvaluator(f"evaluator {name!r}: {how} failed with {type(error).__name__}: {error}") from error
    if inspect.iscoroutine(made):
        made.close()
        raise InvalidEvaluator(f"evaluator {name!r}: an async function must take the evaluable")
    return made


def _required(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _bound(name: str, judge: Any, made_of: Sequence[Any]) -> BoundEvaluator:
    function, is_async = _function(name, judge)

    def call(fields: Fields) -> Any:
        return function(evaluable(fields.example(), fields.output()))

    return BoundEvaluator(
        name=name,
        kind=_kind(judge, name),
        function=call,
        binding=WHOLE,
        is_async=is_async,
        fingerprint=keys.fingerprint(*made_of),
        parse=_Reader(name),
        needs=Needs(missing=_asking(name)) if _asks_by_itself(judge) else Needs(),
    )


def _function(name: str, judge: Any) -> tuple[Judge, bool]:
    """What to call with an evaluable, and whether it gives an awaitable."""
    if is_adapter(judge):
        at_once = name in HEURISTICS
        return (lambda one: (judged_at_once if at_once else judged)(judge, one)), not at_once
    is_async = is_async_callable(judge)
    return calling(judge, asynchronous=is_async), is_async


def _kind(judge: Any, name: str) -> AnnotatorKind:
    if is_adapter(judge):
        return bind_autoevals(judge._scorer).kind
    said = kind_of(judge, name)
    return "LLM" if said == "CODE" and is_pixies(judge, "_LLMEvaluator") else said


def _asks_by_itself(judge: Any) -> bool:
    """Whether it asks a model, and has no client of its own to do so."""
    if is_pixies(judge, "_LLMEvaluator"):
        return getattr(judge, "_client", None) is None
    return is_adapter(judge) and _kind(judge, "") == "LLM" and getattr(judge._scorer, "client", None) is None


def _asking(name: str) -> Callable[[Fields], Sequence[str]]:
    """Looks, before anything is run, whether there is somebody to ask."""

    def missing(_: Fields) -> Sequence[str]:
        check_endpoint(name)
        return ()

    return missing


def _identity(judge: Any) -> Any:
    """What changes when it judges otherwise."""
    if is_adapter(judge):
        held = {k: stable(v) for k, v in vars(judge).items() if k not in ("_scorer", "_expected")}
        expected = vars(judge).get("_expected")
        fixed = None if type(expected) is object else stable(expected)
        return [bind_autoevals(judge._scorer).fingerprint, held, fixed, *_versions()]
    return keys.callable_fingerprint(judge)


def _versions() -> list[str]:
    return [f"{package} {importlib.metadata.version(package)}" for package in ("pixie-qa", "autoevals")]


class _Reader:
    """Reads what an evaluator gave: what pixie's evaluators give, and all else that evaluators may.

    As in pixie, a score is between 0 and 1; one that is not becomes the nearer of them.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._said = False

    def __call__(self, value: Any) -> list[EvaluationResult]:
        return [self._clamped(result) for result in parse_result(value)]

    def _clamped(self, result: EvaluationResult) -> EvaluationResult:
        if result.score is None or 0 <= result.score <= 1:
            return result
        score = min(max(result.score, 0.0), 1.0)
        if not self._said:
            self._said = True
            logger.warning(
                "Evaluator %r gave a score of %g; scores of pixie's evaluators are from 0 to 1, so it counts as %g, "
                "and others like it likewise.",
                self._name,
                result.score,
                score,
            )
        return dataclasses.replace(result, score=score)
