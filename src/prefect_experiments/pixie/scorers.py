"""How pixie's evaluators are called, so that what keeps one from judging is an error, and not a score of 0."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from prefect_experiments.evaluators.autoevals import is_autoevals_scorer, prompt_variables, without_leftovers
from prefect_experiments.evaluators.results import pending
from prefect_experiments.models import EvaluationResult
from prefect_experiments.pixie.judges import asking_as_configured, impatient
from prefect_experiments.pixie.reading import kind

logger = logging.getLogger("prefect_experiments")

T = TypeVar("T")


def is_pixies(obj: Any, name: str) -> bool:
    """Whether an object is of the class of that name in pixie, or of one that is derived from it."""
    return any(c.__name__ == name and c.__module__.partition(".")[0] == "pixie" for c in type(obj).__mro__)


def is_adapter(obj: Any) -> bool:
    """Whether it is a scorer of autoevals as pixie wraps it."""
    return is_pixies(obj, "AutoevalsAdapter") and hasattr(obj, "_scorer")


async def judged(adapter: Any, evaluable: Any) -> Any:
    """What an adapter gives.

    Raises:
        Exception: what kept its scorer from judging, which the adapter itself would call a score of 0.
    """
    watched = _Watched(adapter._scorer)
    own = copy.copy(adapter)
    own._scorer = watched
    found = await own(evaluable)
    if watched.error is not None:
        raise watched.error
    if {"error", "traceback"} <= (found.details or {}).keys():
        raise RuntimeError(f"{found.details['error']}: {found.reasoning}")
    return found


def judged_at_once(adapter: Any, evaluable: Any) -> Any:
    """What an adapter gives whose scorer asks nobody, and so never waits; for a thread.

    Raises:
        Exception: as `judged`.
    """
    return _without_waiting(judged(adapter, evaluable))


def _without_waiting(work: Coroutine[Any, Any, T]) -> T:
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    work.close()
    raise RuntimeError("an evaluator that asks nobody has waited for something")


def _incomparable(name: str, output: Any, expected: Any) -> str | None:
    """What `ListContains`, whose own errors say nothing of it, was given that is no list of texts."""
    given = [
        value if isinstance(value, list | str) and not _holds_null(value) else None for value in (output, expected)
    ]
    if name != "ListContains" or expected is None or None not in given:
        return None
    output_is, expected_is = (
        kind(one) + (" with null in it" if _holds_null(one) else "") for one in (output, expected)
    )
    return f"{name} compares two lists of texts; the output is {output_is}, and the expectation {expected_is}"


def _holds_null(value: Any) -> bool:
    return isinstance(value, list) and None in value


@functools.cache
def _say_blank(name: str, missing: str) -> None:
    """Say it once: pixie has the judge asked all the same."""
    logger.warning(
        "Evaluator %r is asked with nothing for %r, which its prompt has a place for. Make one that has it in a file "
        "of the project, such as: def judge(): return pixie.%s(%s=...)",
        name,
        missing,
        name,
        missing,
    )


class _LeadsOut(ValueError):
    """A JSON Schema refers to another document."""


def _refuse_references(schema: Any) -> None:
    """Refuse a schema that refers to another document: jsonschema would fetch it, from wherever a dataset says."""
    if isinstance(schema, dict):
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            if isinstance(there := schema.get(key), str) and not there.startswith("#"):
                raise _LeadsOut(f"the expectation, a JSON Schema, refers to {there!r:.200}; only what is in it is read")
    if isinstance(schema, dict | list):
        for part in schema.values() if isinstance(schema, dict) else schema:
            _refuse_references(part)


class _Watched:
    """A scorer within an adapter: it is asked as configured, and what it raises is kept."""

    def __init__(self, scorer: Any) -> None:
        self.scorer = scorer
        self.error: Exception | None = None

    async def eval_async(self, output: Any, expected: Any = None, **given: Any) -> Any:
        if getattr(self.scorer, "name", None) == "ClosedQA" and "criteria" not in given and expected is not None:
            given["criteria"] = expected  # its prompt has no other place for what is expected
        try:
            if type(self.scorer).__name__ == "ValidJSON":
                _refuse_references(expected)
            given = {**self._blanks(given), **given}
            with asking_as_configured() if _lacks_client(self.scorer) else contextlib.nullcontext():
                work = _impatient(self.scorer).eval_async(output=output, expected=expected, **given)
                return await without_leftovers(work)
        except Exception as error:
            self.error = self._explained(error, output, expected)
            raise

    def _blanks(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Nothing for what its prompt has a place for and pixie gives nothing for: the judge is asked the same."""
        named = dict.fromkeys(name.partition(".")[0] for name in prompt_variables(self.scorer))
        missing = [name for name in named if name not in given and name not in ("output", "expected")]
        for name in missing:
            _say_blank(str(getattr(self.scorer, "name", None) or type(self.scorer).__name__), name)
        return dict.fromkeys(missing, "")

    def _explained(self, error: Exception, output: Any, expected: Any) -> Exception:
        if (compared := _incomparable(type(self.scorer).__name__, output, expected)) is not None:
            told = ValueError(compared)
            told.__cause__ = error
            return told
        is_schema = isinstance(expected, dict | bool) and type(error).__name__ != "SchemaError"
        if type(self.scorer).__name__ == "ValidJSON" and not is_schema and not isinstance(error, _LeadsOut):
            told = ValueError(
                f"ValidJSON takes the expectation for a JSON Schema, and this is none: "
                f"{getattr(error, 'message', error)}. Use JSONDiff to compare, or leave the expectation out"
            )
            told.__cause__ = error
            return told
        return error


def _lacks_client(scorer: Any) -> bool:
    """Whether it, or a part of it, asks a model and has no client of its own to do so."""
    lacks = hasattr(scorer, "client") and scorer.client is None
    return lacks or any(_lacks_client(part) for part in _parts(scorer).values())


def _impatient(scorer: Any) -> Any:
    """A scorer whose own client, where the user has given it one, does not wait within a call."""
    own = copy.copy(scorer)
    if getattr(own, "client", None) is not None:
        own.client = impatient(own.client)
    for name, part in _parts(own).items():
        setattr(own, name, _impatient(part))
    return own


def _parts(scorer: Any) -> dict[str, Any]:
    return {name: part for name, part in getattr(scorer, "__dict__", {}).items() if is_autoevals_scorer(part)}


def calling(evaluator: Callable[..., Any], *, asynchronous: bool) -> Callable[[Any], Any]:
    """A function of an evaluable that calls an evaluator of any other sort.

    A deferred judgement is given as such, and an answer of a judge that holds no score is an error.
    """
    if not asynchronous:

        def call(evaluable: Any) -> Any:
            try:
                return evaluator(evaluable)
            except Exception as error:  # noqa: BLE001 - raised again, unless it only defers
                return _deferred(error)

        return call

    async def call_async(evaluable: Any) -> Any:
        try:
            found = evaluator(evaluable)
            return _readable(evaluator, await found if inspect.isawaitable(found) else found)
        except Exception as error:  # noqa: BLE001 - as above
            return _deferred(error)

    return call_async


def _deferred(error: Exception) -> EvaluationResult:
    """What an agent's evaluator says by an exception: by what it is still to be judged."""
    if is_pixies(error, "AgentEvaluationPending"):
        return pending(str(error.criteria), scale=(0, 1))  # type: ignore[attr-defined]
    raise error


def _readable(evaluator: Any, found: Any) -> Any:
    if is_pixies(evaluator, "_LLMEvaluator") and str(found.reasoning).startswith("Failed to parse score."):
        raise ValueError(f"the judge's answer has no score in it. {found.reasoning:.500}")
    return found
