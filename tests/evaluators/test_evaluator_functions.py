from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import subprocess
import sys
from enum import Enum
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import cloudpickle
import pytest

from prefect_experiments.errors import InvalidEvaluator
from prefect_experiments.evaluators import EvaluationResult, Evaluator, create_evaluator, resolve_evaluators
from prefect_experiments.models import Example

from .judging import bind, fields, result, results

NAMES = {
    "input",
    "expected",
    "reference",
    "output",
    "metadata",
    "example",
    "dataset_row",
    "experiment_output",
    "dataset_output",
    "trace_id",
}


def exactly(output, expected):
    return output == expected


async def exactly_async(output, expected):
    await asyncio.sleep(0)
    return output == expected


def close_to(target, output):
    return target == output


class Kind(Enum):
    LLM = "llm"
    NONSENSE = "nonsense"


class TestFunctions:
    def test_parameters_are_filled_by_name(self):
        seen: dict[str, Any] = {}

        def all_of_them(
            input, expected, reference, output, metadata, example, dataset_row,
            experiment_output, dataset_output, trace_id,
        ):  # fmt: skip
            seen.update(locals())
            return 1

        assert result(all_of_them, "out", "exp", metadata={"m": 1}).score == 1
        assert seen["input"] == {"q": 1}
        assert seen["expected"] == seen["reference"] == seen["dataset_output"] == "exp"
        assert seen["output"] == seen["experiment_output"] == "out"
        assert seen["metadata"] == {"m": 1}
        assert seen["trace_id"] == "0" * 31 + "1"
        assert isinstance(seen["example"], Example)
        assert seen["dataset_row"] == {"id": "ex-1", "q": 1, "output": "exp", "m": 1}
        with pytest.raises(TypeError):
            seen["dataset_row"]["q"] = 2

    def test_an_only_parameter_gets_the_output_unless_its_name_is_known(self):
        assert result(lambda whatever: whatever, "out").label == "out"
        assert result(lambda expected: expected, "out", "exp").label == "exp"
        assert result(lambda text, limit=3: text, "out").label == "out"
        assert result(str.upper, "out").label == "OUT"
        assert result(len, [1, 2]).score == 2

    def test_keyword_variadics_get_everything(self):
        def evaluator(**kwargs):
            return {"metadata": {"names": sorted(kwargs)}}

        assert set(result(evaluator, "out").metadata["names"]) == NAMES

    def test_each_call_gets_its_own_copy(self):
        def spoil(output):
            output.append(1)
            return len(output)

        bound, row = bind(spoil), fields([])
        assert bound.call(row) == bound.call(row) == 1

    def test_sync_and_async(self):
        assert not bind(exactly).is_async
        assert bind(exactly_async).is_async
        assert bind(functools.partial(exactly_async)).is_async
        assert result(exactly_async, "a", "a") == EvaluationResult(1.0, "True")

    def test_names_and_references(self):
        def local(output):
            return 1

        assert (bind(exactly).name, bind(exactly).reference) == ("exactly", f"{__name__}:exactly")
        assert (bind(local).name, bind(local).reference) == ("local", None)
        assert bind(lambda output: 1).name == "lambda"
        assert bind(functools.partial(close_to, "a")).name == "close_to"
        assert bind(Judge().by_length).name == "by_length"
        assert bind(Judge()).name == "Judge"

    def test_partials(self):
        assert result(functools.partial(close_to, "a"), "a").score == 1
        assert result(functools.partial(close_to, target="b"), "a").score == 0

    def test_what_a_partial_has_filled_stays(self):
        assert result(functools.partial(exactly, expected="fixed"), "fixed", "other").score == 1
        assert result(functools.partial(exactly, output="fixed"), "other", "fixed").score == 1

    def test_callable_objects_and_bound_methods(self):
        assert result(Judge(), "abc").score == 3
        assert result(Judge().by_length, "abc").score == 3
        assert bind(AsyncJudge()).is_async
        assert (bind(AsyncJudge()).name, bind(AsyncJudge()).kind) == ("slow judge", "LLM")
        assert result(AsyncJudge(), "abc").score == 3

    @pytest.mark.parametrize(
        ("function", "text"),
        [
            (lambda output, treshold: 1, "evaluator 'lambda' has parameters that no field fills: 'treshold'. Known"),
            (lambda: 1, "evaluator 'lambda' takes no argument"),
            (close_to, "evaluator 'close_to' has parameters that no field fills: 'target'"),
        ],
    )
    def test_wrong_parameters_are_refused(self, function, text):
        with pytest.raises(InvalidEvaluator, match=text):
            resolve_evaluators(function)

    def test_a_prefect_task_counts_as_its_function(self):
        from prefect import task

        bound = bind(task(exactly))
        assert (bound.name, bound.kind) == ("exactly", "CODE")
        assert bound.call(fields("a", "a")) is True


class Judge:
    def __call__(self, output):
        return self.by_length(output)

    def by_length(self, output):
        return len(output)


class AsyncJudge:
    name = "slow judge"
    kind = "llm"

    async def __call__(self, output):
        return len(output)


class Sync(Evaluator):
    def evaluate(self, output, expected, **kwargs):
        return {"score": float(output == expected), "metadata": {"names": sorted(kwargs)}}


class Async(Evaluator):
    kind = "LLM"

    async def async_evaluate(self, *, output=None, dataset_row=None, metadata=MappingProxyType({}), **kwargs):
        return EvaluationResult(score=dataset_row["q"], label=output, metadata=metadata)


class Both(Evaluator):
    def evaluate(self, output):
        return "sync"

    async def async_evaluate(self, output):
        return "async"


class SyncAgain(Both):
    def evaluate(self, output):
        return "sync again"


class InDisguise(Evaluator):
    """As Phoenix's client writes them."""

    def evaluate(self, **kwargs):
        return "sync"

    async def async_evaluate(self, **kwargs):
        return self.evaluate(**kwargs)


class Neither(Evaluator):
    pass


class NeedsArguments(Evaluator):
    def __init__(self, threshold):
        self.threshold = threshold

    def evaluate(self, output):
        return output >= self.threshold


class ForeignBase:
    """Like the base classes of Phoenix's client and of AX."""

    _kind: Any = Kind.LLM

    @property
    def name(self):
        return "foreign"

    @property
    def kind(self):
        return self._kind

    def evaluate(self, *, output=None, expected=None, metadata=MappingProxyType({}), input=None, **kwargs):
        raise NotImplementedError

    async def async_evaluate(self, *, output=None, expected=None, **kwargs):
        return self.evaluate(output=output, expected=expected, **kwargs)


class Foreign(ForeignBase):
    def evaluate(self, *, output, expected, dataset_row, **kwargs):
        return (float(output == expected), dataset_row["id"], "compared")


class TestClasses:
    def test_sync(self):
        bound = bind(Sync())
        assert (bound.name, bound.kind, bound.is_async) == ("Sync", "CODE", False)
        verdict = result(Sync(), "a", "a")
        assert verdict.score == 1
        assert set(verdict.metadata["names"]) == NAMES - {"output", "expected"}

    def test_async(self):
        bound = bind(Async())
        assert (bound.kind, bound.is_async) == ("LLM", True)
        assert result(Async(), "a", metadata={"m": 1}) == EvaluationResult(1.0, "a", metadata={"m": 1})

    def test_the_async_method_is_used_where_there_are_both(self):
        assert result(Both(), "a").label == "async"

    def test_the_most_derived_class_decides(self):
        assert result(SyncAgain(), "a").label == "sync again"

    def test_an_async_method_that_only_calls_the_sync_one_goes_to_a_thread(self):
        assert not bind(InDisguise()).is_async
        assert result(InDisguise(), "a").label == "sync"

    def test_a_class_is_made_an_object(self):
        assert bind(Sync).name == "Sync"
        assert result(Judge, "abc").score == 3

    def test_name_kind_and_version_of_the_object(self):
        evaluator = Sync()
        evaluator.name, evaluator.kind = "mine", "HUMAN"
        assert (bind(evaluator).name, bind(evaluator).kind) == ("mine", "HUMAN")
        other = Sync()
        other.version = "2"
        assert bind(Sync()).fingerprint == bind(Sync()).fingerprint != bind(other).fingerprint

    def test_foreign_bases(self):
        bound = bind(Foreign())
        assert (bound.name, bound.kind, bound.is_async) == ("foreign", "LLM", False)
        assert result(Foreign(), "a", "a") == EvaluationResult(1.0, "ex-1", "compared")
        assert result(SimpleNamespace(evaluate=lambda output: output, name="ns"), "x").label == "x"

    @pytest.mark.parametrize("kind", ["CODE", "code", "AnnotatorKind.CODE"])
    def test_kinds_in_any_spelling(self, kind):
        evaluator = Foreign()
        evaluator._kind = kind
        assert bind(evaluator).kind == "CODE"

    @pytest.mark.parametrize("kind", [Kind.NONSENSE, "LMM", 7])
    def test_other_kinds_are_refused(self, kind):
        evaluator = Foreign()
        evaluator._kind = kind
        with pytest.raises(InvalidEvaluator, match=r"evaluator 'foreign': unknown kind .*Known: CODE, LLM, HUMAN"):
            bind(evaluator)

    @pytest.mark.parametrize(
        ("evaluator", "text"),
        [
            (Neither(), "'Neither' has neither evaluate nor async_evaluate"),
            (Neither, "'Neither' has neither evaluate nor async_evaluate"),
            (NeedsArguments, r"NeedsArguments\(\) failed with TypeError: .*Give an object"),
            (dict, "is the class dict and no evaluator"),
            (5, "evaluators is a int and no evaluator"),
            (object(), "is a object and no evaluator"),
        ],
    )
    def test_what_is_no_evaluator(self, evaluator, text):
        with pytest.raises(InvalidEvaluator, match=text):
            bind(evaluator)


class TestCreateEvaluator:
    def test_bare(self):
        @create_evaluator
        def fits(output, expected):
            """Whether it fits."""
            return output == expected

        assert isinstance(fits, Evaluator)
        assert fits("a", "a") is True
        assert (fits.__name__, fits.__doc__, fits.__wrapped__) == ("fits", "Whether it fits.", fits.function)
        assert list(inspect.signature(fits).parameters) == ["output", "expected"]
        bound = bind(fits)
        assert (bound.name, bound.kind) == ("fits", "CODE")
        assert result(fits, "a", "a") == EvaluationResult(1.0, "True")

    def test_with_arguments(self):
        @create_evaluator(kind="llm", name="tone", scorer=lambda value: (value / 10, "of ten"))
        async def judge(output, input):
            return len(output) + len(input)

        bound = bind(judge)
        assert (bound.name, bound.kind, bound.is_async) == ("tone", "LLM", True)
        assert result(judge, "abcd") == EvaluationResult(0.5, "of ten")
        assert asyncio.run(judge("abcd", "x")) == 5

    def test_positional_kind_and_enumerations(self):
        assert bind(create_evaluator("LLM")(exactly)).kind == "LLM"
        assert bind(create_evaluator(Kind.LLM, "other")(exactly)).name == "other"

    def test_reads_like_an_evaluator_of_phoenix(self):
        @create_evaluator()
        def judge(output, reference=None):
            return {"score": output == reference, "label": "x"}

        assert judge.evaluate(output=1, expected=1, input={}, metadata={}) == EvaluationResult(1.0, "x")
        assert asyncio.run(judge.async_evaluate(output=1, expected=2)) == EvaluationResult(0.0, "x")

        @create_evaluator
        async def awaited(output):
            return [{"score": 1, "name": "a"}, {"score": 0, "name": "b"}]

        assert [r.name for r in asyncio.run(awaited.async_evaluate(output=1))] == ["a", "b"]
        with pytest.raises(TypeError, match="await its async_evaluate"):
            awaited.evaluate(output=1)

    def test_version_and_scorer_count_in_the_fingerprint(self):
        variants = [
            create_evaluator(exactly),
            create_evaluator(version="2")(exactly),
            create_evaluator(scorer=bool)(exactly),
            create_evaluator(exactly_async),
        ]
        assert len({bind(variant).fingerprint for variant in variants}) == 4
        assert bind(create_evaluator(name="other")(exactly)).fingerprint == bind(variants[0]).fingerprint

    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (lambda: create_evaluator(kind="LMM")(exactly), "unknown kind 'LMM'; did you mean 'LLM'"),
            (lambda: create_evaluator(Sync()), "unknown kind"),
            (lambda: create_evaluator()(Sync), "takes a function"),
            (lambda: create_evaluator()("exact_match"), "takes a function"),
            (lambda: create_evaluator(lambda output, other: 1), "no field fills: 'other'"),
        ],
    )
    def test_refusals(self, make, text):
        with pytest.raises(InvalidEvaluator, match=text):
            bind(make())

    def test_several_results_through_a_scorer(self):
        @create_evaluator(scorer=lambda pair: [{"name": "a", "score": pair[0]}, {"name": "b", "score": pair[1]}])
        def both(output):
            return output

        assert [(r.name, r.score) for r in results(both, [0.5, 1])] == [("a", 0.5), ("b", 1.0)]

    def test_an_exported_evaluator_has_a_reference(self):
        assert bind(exported).reference == f"{__name__}:exported"


@create_evaluator
def exported(output):
    return 1


def test_evaluators_go_to_other_processes():
    for evaluator in (exported, Sync(), Async(), functools.partial(close_to, "a"), "regex(pattern='a')", "json_valid"):
        bound = bind(evaluator)
        again = pickle.loads(cloudpickle.dumps(bound))
        assert (again.name, again.fingerprint) == (bound.name, bound.fingerprint)


SCRIPT = """
from prefect_experiments.evaluators import create_evaluator, resolve_evaluators, Evaluator
from prefect_experiments.tasks import load_reference
module = {module!r}
things = [module + ":plain", module + ":closure", module + ":decorated", module + ":Class", module + ":configured",
          "exact_match", "regex(pattern='a')",
          "json_schema(schema={{'type': 'object'}})", "list_contains(threshold=0.5)"]
for thing in things:
    print(resolve_evaluators([thing])[0].fingerprint)
"""
MODULE = """
from prefect_experiments.evaluators import create_evaluator, Evaluator

WORDS = {"a", "b", "c"}

def plain(output):
    return output in {"x", "y", "z"} or output in WORDS

def make(limit, words):
    def closure(output):
        return len(output) < limit or output in words
    return closure

closure = make(3, {"q", "r", "s"})

@create_evaluator(kind="LLM", version="1", scorer=lambda value: value)
def decorated(output, expected=None):
    return output == expected

class Class(Evaluator):
    def __init__(self, limit=3):
        self.limit = limit
        self.words = {"k", "l", "m"}
        self.helper = object()

    def evaluate(self, output):
        return len(output) < self.limit

configured = Class(5)
"""


def fingerprints(module: Path) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(module=str(module))], capture_output=True, text=True, check=True
    )
    return run.stdout.split()


@pytest.mark.thorough
def test_fingerprints_are_the_same_in_every_process_and_follow_the_code(tmp_path):
    module = tmp_path / "judges.py"
    module.write_text(MODULE)
    first = fingerprints(module)
    assert len(set(first)) == len(first)
    assert fingerprints(module) == first
    module.write_text(
        MODULE.replace("len(output) < limit", "len(output) <= limit")
        .replace("make(3,", "make(4,")
        .replace('version="1"', 'version="2"')
        .replace('"x", "y"', '"x", "Y"')
        .replace("Class(5)", "Class(6)")
    )
    changed = fingerprints(module)
    assert [old != new for old, new in zip(first, changed, strict=True)] == [True, True, True, False, True] + 4 * [
        False
    ]
