from __future__ import annotations

import subprocess
import sys

import pytest

from prefect_experiments.errors import InvalidEvaluator, InvalidReference
from prefect_experiments.evaluators import Evaluator, create_evaluator, resolve_evaluators
from prefect_experiments.evaluators.text_evaluators import Regex

from .judging import bind, fields


def one(output):
    return 1


def two(output):
    return 2


def names(evaluators, **kwargs):
    return [bound.name for bound in resolve_evaluators(evaluators, **kwargs)]


def test_nothing():
    assert resolve_evaluators(None) == resolve_evaluators([]) == resolve_evaluators({}) == ()


def test_one_a_list_a_tuple_a_mapping():
    assert names(one) == ["one"]
    assert names([one, two, "exact_match"]) == ["one", "two", "exact_match"]
    assert names((two, one)) == ["two", "one"]
    assert names({"a": one, "b": "exact_match", "c": {"name": "regex", "pattern": "x"}}) == ["a", "b", "c"]


def test_a_mapping_with_the_name_of_a_built_in_is_that_built_in():
    assert names({"name": "exact_match"}) == ["exact_match"]
    assert names({"name": one}) == ["name"]
    assert names({"name": "regex(pattern='x')"}) == ["name"]
    assert names([{"name": "regex", "pattern": "x"}, {"name": "exact_match", "strip": True}]) == [
        "regex",
        "exact_match",
    ]
    with pytest.raises(InvalidEvaluator, match="unknown built-in evaluator 'regexp'; did you mean 'regex'"):
        resolve_evaluators([{"name": "regexp", "pattern": "x"}])


def test_what_is_bound_already_passes():
    bound = bind(one)
    assert resolve_evaluators([bound]) == (bound,)
    assert names({"other": bound}) == ["other"]


def test_references(tmp_path):
    module = tmp_path / "judges.py"
    module.write_text(
        "from prefect_experiments.evaluators import Evaluator\n"
        "def first(output): return 1\n"
        "class Second(Evaluator):\n"
        "    def evaluate(self, output): return 2\n"
        "third = Second(); third.name = 'third'\n"
        "text = 'exact_match'\n"
    )
    found = resolve_evaluators([f"{module}:{name}" for name in ("first", "Second", "third")])
    assert [b.name for b in found] == ["first", "Second", "third"]
    assert [b.reference for b in found] == [f"{module}:{name}" for name in ("first", "Second", "third")]
    assert [b.call(fields("x")) for b in found] == [1, 2, 2]
    assert bind(f"{__name__}:one").name == "one"
    with pytest.raises(InvalidReference, match="has no 'fourth'"):
        resolve_evaluators(f"{module}:fourth")
    with pytest.raises(InvalidEvaluator, match="leads to a text"):
        resolve_evaluators(f"{module}:text")


def test_references_of_built_ins():
    assert bind("exact_match").reference == "exact_match"
    assert bind(" regex( pattern='a' ) ").reference == "regex( pattern='a' )"
    assert bind({"name": "regex", "pattern": "a:b\n"}).reference == r"regex(pattern='a:b\n')"
    assert bind(Regex(pattern="a", fullmatch=True)).reference == "regex(pattern='a', fullmatch=True)"
    assert bind("contains(text='a:b', name='mine')").name == "mine"


@pytest.mark.parametrize("text", ["", "   ", "two words", "package.module.name", "regex(", "a, b"])
def test_texts_that_are_nothing(text):
    with pytest.raises(InvalidEvaluator, match=r"neither a built-in nor a reference.*exact_match.*package.module:name"):
        resolve_evaluators([text])


@pytest.mark.parametrize("bad", [5, {}, {"name": 5}, object(), {1, 2}, [one], b"exact_match"])
def test_items_that_are_nothing_are_named_by_their_place(bad):
    with pytest.raises(InvalidEvaluator, match=r"evaluators\[1\] is a .* and no evaluator. It must be a function"):
        resolve_evaluators([one, bad])


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00", "a\u2028b", 5])
def test_names_that_cannot_be_used(name):
    with pytest.raises(InvalidEvaluator, match="an evaluator's name must"):
        resolve_evaluators({name: one})


def test_an_evaluator_with_an_unusable_name_of_its_own():
    class Odd(Evaluator):
        name = "a\tb"

        def evaluate(self, output):
            return 1

    with pytest.raises(InvalidEvaluator, match=r"use \{name: evaluator\}"):
        resolve_evaluators(Odd())
    assert names({"odd": Odd()}) == ["odd"]


def test_names_must_differ():
    with pytest.raises(InvalidEvaluator, match=r"have the name 'lambda', 'one'; .*evaluators=\{'lambda': \.\.\."):
        resolve_evaluators([one, lambda output: 1, lambda output: 2, two, one])
    assert names({"a": one, "b": one}) == ["a", "b"]


def test_only():
    assert names([one, two, "exact_match"], only=["exact_match", "one"]) == ["one", "exact_match"]
    assert names([one, two], only="two") == ["two"]
    assert names([one, two], only=[]) == []
    with pytest.raises(InvalidEvaluator, match="unknown evaluator 'tow'; did you mean 'two'"):
        resolve_evaluators([one, two], only=["tow"])


def test_renaming_changes_the_name_only():
    plain, renamed = bind(create_evaluator(one)), bind({"other": create_evaluator(one)})
    assert renamed.name == "other"
    assert renamed.fingerprint == plain.fingerprint


def test_importing_it_imports_nothing_heavy():
    script = """
import sys
import prefect_experiments
before = set(sys.modules)
from prefect_experiments.evaluators import resolve_evaluators
resolve_evaluators(["regex(pattern='a')", "edit_similarity", lambda output: 1])
heavy = {"rapidfuzz", "jsonschema", "phoenix", "numpy", "pandas", "prefect", "httpx"} & (set(sys.modules) - before)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)
