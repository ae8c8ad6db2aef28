"""Keys name the same thing on every machine; fingerprints change when, and only when, the thing does."""

from __future__ import annotations

import dataclasses
import enum
import functools
import gc
import inspect
import os
import re
import subprocess
import sys
import textwrap
import weakref

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_experiments import keys
from prefect_experiments.callables import first_sight
from prefect_experiments.evaluators import Evaluator, create_evaluator, resolve_evaluators
from prefect_experiments.keys import callable_fingerprint, fingerprint

# --- keys -------------------------------------------------------------------------------------


def test_canonical_json():
    assert keys.canonical_json({"b": 1, "a": [1.0, None, "ü"]}) == '{"a":[1.0,null,"ü"],"b":1}'.encode()
    assert keys.canonical_json({"x": object}) == b'{"x":"<class \'object\'>"}'


@given(st.dictionaries(st.text(), st.integers(-(2**63), 2**63 - 1)))
def test_the_order_of_keys_does_not_count(value):
    assert fingerprint(value) == fingerprint(dict(reversed(value.items())))
    assert re.fullmatch("[0-9a-f]{64}", fingerprint(value))


def test_parts_do_not_run_into_each_other():
    assert len({fingerprint("a", "b"), fingerprint("ab"), fingerprint("b", "a"), fingerprint(["a", "b"])}) == 4


def test_an_example_id_is_made_of_the_content():
    different = [({"q": "1"}, None), ({"q": "2"}, None), ({"q": "1"}, "a"), ({"p": "1"}, None), ("1", None), ("a", "1")]
    assert len({keys.example_id(*parts) for parts in different}) == len(different)
    assert keys.example_id({"q": "1", "p": 2}, None) == keys.example_id({"p": 2, "q": "1"}, None)
    assert re.fullmatch("ex-[0-9a-f]{12}", keys.example_id("1", None))


@pytest.mark.parametrize(
    ("value", "text"), [(5, "5"), (0.5, "0.5"), (True, "True"), (None, ""), ([1, {"a": None}], '[1,{"a":null}]')]
)
def test_a_value_and_what_a_csv_file_holds_for_it_make_the_same_id(value, text):
    assert keys.example_id(value, value) == keys.example_id(text, text)
    assert keys.example_id({"q": value}, {"a": value}) == keys.example_id({"q": text}, {"a": text})


def test_new_ids_are_new():
    assert len({keys.new_id("exp") for _ in range(1000)}) == 1000
    assert re.fullmatch("exp-[0-9a-f]{16}", keys.new_id("exp"))


@given(st.text(), st.integers(0), st.integers(1))
def test_run_ids_go_there_and_back(experiment_id, position, repetition):
    run_id = keys.run_id(experiment_id, position, repetition)
    assert keys.parse_run_id(run_id) == (experiment_id, position, repetition)
    assert keys.evaluation_id(run_id, "tone") == f"{run_id}.tone"


@pytest.mark.parametrize("text", ["", "exp-1", "exp-1.2", "exp-1.a.b", "exp-1.1."])
def test_what_is_no_run_id(text):
    with pytest.raises(ValueError, match=r"."):
        keys.parse_run_id(text)


# --- what changes a fingerprint ---------------------------------------------------------------


def compiled(text, name="f", **scope):
    """A function without source, as from a REPL."""
    exec(textwrap.dedent(text), scope)
    return scope[name]


def threshold(limit):
    def judge(output):
        return output > limit

    return judge


def differ(*callables):
    return len({callable_fingerprint(each) for each in callables}) == len(callables)


def one(output):
    return 1


def two(output):
    return 2


def judge_with(output, model="a", *, temperature=0):
    return model


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Config(pydantic.BaseModel):
    model: str = "a"
    api_key: pydantic.SecretStr | None = None


@dataclasses.dataclass
class Rule:
    pattern: str


@dataclasses.dataclass(slots=True)
class Slotted:
    limit: float
    calls: int = 0

    def __call__(self, output):
        self.calls += 1
        return output > self.limit


class Judge(Evaluator):
    def __init__(self, **options):
        self.options = options

    def evaluate(self, output):
        return True


class Keyed(Judge):
    pass


def test_code_counts():
    assert differ(one, two, judge_with, len, max, Judge.evaluate, Judge, Keyed)
    assert callable_fingerprint(one) == callable_fingerprint(one)


@pytest.mark.parametrize(
    ("this", "other"),
    [
        (1, 2),
        (1, 1.5),
        ("a", "b"),
        (None, 0),
        (True, 1),
        (float("nan"), float("inf")),
        (2**70, 2**71),
        (255, "0xff"),
        (b"a", b"b"),
        ("\ud800", "\ud801"),
        ((1, 2), (2, 1)),
        (frozenset("a"), frozenset("b")),
        (Colour.RED, Colour.BLUE),
        (re.compile("a" * 300), re.compile("a" * 300 + "b")),
        (re.compile("a"), re.compile("a", re.IGNORECASE)),
        (Rule("a"), Rule("b")),
        (Config(model="a"), Config(model="b")),
        (one, two),
        (int, float),
    ],
)
def test_what_a_callable_holds_counts(this, other):
    pairs = [
        (threshold(this), threshold(other)),
        (functools.partial(judge_with, model=this), functools.partial(judge_with, model=other)),
        (Judge(option=this), Judge(option=other)),
        (Judge(option=this).evaluate, Judge(option=other).evaluate),
        (Judge(option={"nested": [this]}), Judge(option={"nested": [other]})),
        (Slotted(this), Slotted(other)),
    ]
    for first, second in pairs:
        assert differ(first, second)
    assert callable_fingerprint(threshold(this)) == callable_fingerprint(threshold(this))
    assert callable_fingerprint(Judge(option=this)) == callable_fingerprint(Judge(option=this))


def test_defaults_count():
    assert differ(
        compiled("def f(output, limit=1): return limit"),
        compiled("def f(output, limit=2): return limit"),
        compiled("def f(output, *, limit=2): return limit"),
    )


def test_a_rotated_secret_does_not():
    this, other = (functools.partial(judge_with, model=Config(api_key=key)) for key in ("old", "new"))
    assert not differ(this, other)


def test_code_without_source_counts_all_of_it():
    assert differ(
        compiled("def f(output): return output.score"),
        compiled("def f(output): return output.label"),
        compiled("def f(output): return output.score > 1"),
        compiled("def f(output): return output.score > 2"),
        compiled("def f(output): return [x + 1 for x in output]"),
        compiled("def f(output): return [x + 2 for x in output]"),
        compiled("def f(output): return output in {'a', 'b'}"),
        compiled("def f(output): return output in {'a', 'c'}"),
    )
    assert not differ(*(compiled("def f(output): return output in {'a', 'b'}") for _ in range(2)))
    assert differ(*(compiled(f"class C:\n  def __call__(self, output): return {n}", "C")() for n in (1, 2)))


def test_lambdas():
    assert differ(lambda output: output > 1, lambda output: output > 2)
    same_line = [lambda output: output == 1, lambda output: output == 2, lambda output: (lambda: output)()]
    assert differ(*same_line)
    over_lines = [
        lambda output: (
            output
            > 1
        ),
        lambda output: (
            output
            > 2
        ),
    ]  # fmt: skip
    assert differ(*over_lines)
    default = [lambda output, n=n: output == n for n in (1, 2)]
    assert differ(*default)
    fallback = [lambda output: 1, lambda output: 1]
    assert not differ(*fallback)


def test_what_stands_beside_a_lambda_does_not_count(tmp_path):
    def fingerprint_in(text):
        (tmp_path / "lambdas.py").write_text(text)
        script = (
            "from prefect_experiments.keys import callable_fingerprint as f; import lambdas; print(f(lambdas.e['a']))"
        )
        done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    assert fingerprint_in("e = {'a': lambda output: output == 1}") == fingerprint_in(
        "import math\n\ne = {'b': lambda output: output == 2,\n     'a': lambda output: output == 1, 'c': lambda o: 3}"
    )


# --- what does not: the state of a run --------------------------------------------------------


class Counting(Evaluator):
    __hash__ = None

    def __init__(self, limit=1):
        self.limit = limit
        self.calls = 0
        self.seen = []

    def __eq__(self, other):
        raise RuntimeError("not to be compared")

    def evaluate(self, output):
        self.calls += 1
        self.seen.append(output)
        return True

    def __call__(self, output):
        return self.evaluate(output)


def test_an_evaluator_that_counts_its_calls_stays_the_same():
    evaluator = Counting()
    before = [callable_fingerprint(obj) for obj in (evaluator, evaluator.evaluate)]
    evaluator.evaluate("x")
    assert [callable_fingerprint(obj) for obj in (evaluator, evaluator.evaluate)] == before
    assert callable_fingerprint(Counting()) == before[0]
    assert callable_fingerprint(Counting(limit=2)) != before[0]


def test_so_it_is_not_run_again():
    evaluator = Counting()
    [first] = resolve_evaluators(evaluator)
    first.function("x")
    [again] = resolve_evaluators(evaluator)
    assert again.fingerprint == first.fingerprint

    calls = []

    @create_evaluator
    def noting(output):
        calls.append(output)

    [first] = resolve_evaluators(noting)
    noting("x")
    [again] = resolve_evaluators(noting)
    assert again.fingerprint == first.fingerprint


def test_slots_count_and_their_state_does_not():
    slotted = Slotted(0.5)
    before = callable_fingerprint(slotted)
    assert slotted(1)
    assert slotted.calls == 1
    assert callable_fingerprint(slotted) == before
    assert callable_fingerprint(Slotted(0.6)) != before


@pytest.mark.parametrize("container", [list, dict, set, bytearray])
def test_containers_in_closures_do_not_count(container):
    def make(state):
        def task(x):
            return state

        return task

    filled = make(container())
    state = inspect.getclosurevars(filled).nonlocals["state"]
    getattr(state, "append", getattr(state, "add", lambda x: state.update({x: x})))(1)
    assert callable_fingerprint(filled) == callable_fingerprint(make(container()))


def test_a_counter_in_a_closure_stays_the_same_in_its_process():
    calls = 0

    def task(x):
        nonlocal calls
        calls += 1

    before = callable_fingerprint(task)
    task(1)
    assert callable_fingerprint(task) == before


def test_a_closure_that_refers_to_itself_or_to_nothing_yet():
    def recursive(x):
        return recursive(x)

    def early(x):
        return later

    before = callable_fingerprint(early)
    later = 1
    assert callable_fingerprint(early) == before
    assert callable_fingerprint(recursive)


def test_calling_a_function_often_does_not_change_its_compiled_code():
    function = compiled("def f(x):\n  total = 0\n  for n in range(x): total += n * 2\n  return total")
    other = compiled("def f(x):\n  total = 0\n  for n in range(x): total += n * 2\n  return total")
    for _ in range(1000):
        function(10)
    assert callable_fingerprint(function) == callable_fingerprint(other)


def test_new_code_in_an_old_function_is_seen():
    """As a notebook's autoreload puts it there."""
    function = compiled("def f(x): return 1")
    before = callable_fingerprint(function)
    function.__code__ = compiled("def f(x): return 2").__code__
    assert callable_fingerprint(function) == callable_fingerprint(compiled("def f(x): return 2")) != before


def test_nothing_is_kept_alive():
    evaluator = Counting()
    method = evaluator.evaluate
    function = threshold(3)
    partial = functools.partial(one)
    watched = [weakref.ref(obj) for obj in (evaluator, function, partial)]
    for obj in (evaluator, method, function, partial):
        callable_fingerprint(obj)
    remembered = len(first_sight._seen)
    del evaluator, method, function, partial, obj
    gc.collect()
    assert [ref() for ref in watched] == [None, None, None]
    assert len(first_sight._seen) <= remembered - 4


def test_memory_stays_bounded(monkeypatch):
    monkeypatch.setattr(first_sight, "_MOST_KEPT_ALIVE", 10)
    callable_fingerprint(Slotted(0))
    before = len(first_sight._seen)
    for n in range(30):
        callable_fingerprint(Slotted(n))
    assert len(first_sight._seen) <= before + 10


def test_a_new_object_in_an_old_ones_place_is_another():
    """Ids are given again; the next object at an address must not get the last one's fingerprint."""
    expected = {n: callable_fingerprint(Judge(option=n)) for n in range(3)}
    slotted = {n: callable_fingerprint(Slotted(n)) for n in range(3)}
    for _ in range(10):
        for n in range(3):
            assert callable_fingerprint(Judge(option=n)) == expected[n]
            assert callable_fingerprint(Slotted(n)) == slotted[n]


# --- the same in every process ----------------------------------------------------------------

SCRIPT = """
import functools, re
from prefect_experiments.keys import callable_fingerprint

scope = {}
exec('''
import enum

def consts(output):
    return output in {'alpha', 'beta', 'gamma', 'delta', 1, None} and [x for x in output if x in {'e', 'f', 'g'}]

class Judge:
    def __init__(self):
        self.words = {'alpha', 'beta', 'gamma', 'delta'}
        self.nested = {'k': frozenset({'x', 'y', 'z'}), ('a', 1): object()}
        self.client = object()

    def __call__(self, output):
        return output in {'alpha', 'beta', 'gamma'}
''', scope)
judge = scope["Judge"]()
for each in (
    scope["consts"],
    judge,
    judge.__call__,
    functools.partial(scope["consts"], words={"alpha", "beta", "gamma"}, client=object(), pattern=re.compile("a")),
    lambda output: output in {"alpha", "beta", "gamma"},
    eval("lambda output: output in {'alpha', 'beta', 'gamma'}"),
):
    print(callable_fingerprint(each))
"""


def test_the_same_in_every_process():
    outputs = set()
    for seed in ("0", "1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert len(done.stdout.split()) == 6
        outputs.add(done.stdout)
    assert len(outputs) == 1
