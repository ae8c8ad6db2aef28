"""A fingerprint follows what of the user's own a callable names, wherever it stands, and no state."""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments.evaluators import resolve_evaluators
from prefect_experiments.keys import callable_fingerprint
from prefect_experiments.references import load_reference
from support.modules import folder

__all__ = ["folder"]

# A part of a class that names something, how it stands there and how it is read.
PARTS = {
    "static method": ("staticmethod", "", "()"),
    "class method": ("classmethod", "cls", "()"),
    "property": ("property", "self", ""),
    "cached property": ("functools.cached_property", "self", ""),
}
OF_PARTS = "".join(
    f"""
=== what a {part} names: 1 -> 2
import functools
LIMIT = 1
class Judge:
    @{decorator}
    def limit({first}):
        return LIMIT
    def evaluate(self, output):
        return self.limit{read}
check = Judge()"""
    for part, (decorator, first, read) in PARTS.items()
)
# What is mended, in the evaluator's module or in a helper beside it, and which text becomes which.
CASES = """
=== what a partial method names: 1 -> 2
import functools
LIMIT = 1
class Judge:
    def _above(self, output):
        return output > LIMIT
    evaluate = functools.partialmethod(_above)
check = Judge()
=== what a property's setter names: 1 -> 2
LIMIT = 1
class Judge:
    @property
    def limit(self):
        return self._limit
    @limit.setter
    def limit(self, value):
        self._limit = LIMIT
    def evaluate(self, output):
        self.limit = output
        return self.limit
check = Judge()
=== a constant: 0.8 -> 0.9
LIMIT = 0.8
def check(output):
    return LIMIT
=== a tuple: 'b' -> 'c'
WORDS = ('a', ('b', None))
def check(output):
    return WORDS
=== a frozenset: b'b' -> b'c'
WORDS = frozenset({'a', b'b'})
def check(output):
    return WORDS
=== a regex: 'a' -> 'b'
import re
R = re.compile('a')
def check(output):
    return R
=== an enum: = 1 -> = 2
import enum
class E(enum.Enum):
    A = 1
def check(output):
    return E.A
=== a member: = 1 -> = 2
import enum
class E(enum.Enum):
    A = 1
M = E.A
def check(output):
    return M
=== a computed one: = 1 -> = 3
BASE = 1
LIMIT = BASE * 2
def check(output):
    return LIMIT
=== a list as written: 'b' -> 'c'
WORDS = ['a', 'b']
def check(output):
    return WORDS
=== a dict as written: 2 -> 3
WORDS: dict = {'a': {1, 2}}
def check(output):
    return WORDS
=== within a function: L = 1 -> L = 2
L = 1
def check(output):
    def inner(): return [L for _ in output]
    return inner()
=== a function: + 1 -> + 2
def norm(x): return x + 1
def check(output):
    return norm(output)
=== over another: K = 1 -> K = 2
def a(x): return b(x)
def b(x): return x + K
K = 1
def check(output):
    return a(output)
=== a recursive one: - 1 -> - 2
def a(x): return x and b(x)
def b(x): return a(x - 1)
def check(output):
    return a(output)
=== a default: L = 1 -> L = 2
L = 1
def a(x, limit=L): return limit
def check(output):
    return a(output)
=== a lambda: + 1 -> + 2
norm = lambda x: x + 1
def check(output):
    return norm(output)
=== a partial: a, 1 -> a, 2
import functools
def a(x, y): return x
p = functools.partial(a, 1)
def check(output):
    return p(output)
=== a cached one: K = 1 -> K = 2
import functools
@functools.cache
def a(x): return x + K
K = 1
def check(output):
    return a(output)
=== a tuple of functions: + 1 -> + 2
def a(x): return x + 1
ALL = (a,)
def check(output):
    return ALL[0](output)
=== a class: + 1 -> + 2
class A:
    def m(self, x): return x + 1
def check(output):
    return A().m(output)
=== a base class: + 1 -> + 2
class B:
    def m(self, x): return x + 1
class A(B): pass
def check(output):
    return A().m(output)
=== a class's constant: L = 1 -> L = 2
L = 1
class A:
    limit = L
def check(output):
    return A.limit
=== named by a method: L = 1 -> L = 2
L = 1
class A:
    @property
    def m(self): return L
def check(output):
    return A().m
=== an object's class: + 1 -> + 2
class A:
    def m(self, x): return x + 1
the = A()
def check(output):
    return the.m(output)
=== a decorator's argument: L = 1 -> L = 2
import functools
L = 1
def over(limit):
    def deco(f):
        @functools.wraps(f)
        def inner(output): return f(output) > limit
        return inner
    return deco
@over(L)
def check(output):
    return 1
=== a decorator's global: L = 1 -> L = 2
import functools
L = 1
def deco(f):
    @functools.wraps(f)
    def inner(output): return f(output) > L
    return inner
@deco
def check(output):
    return 1
=== a decorator's code: > 1 -> > 2
import functools
def deco(f):
    @functools.wraps(f)
    def inner(output): return f(output) > 1
    return inner
@deco
def check(output):
    return 1
=== a decorator without wraps: L = 1 -> L = 2
def deco(f):
    def inner(output): return f(output)
    return inner
L = 1
@deco
def check(output):
    return L
=== a helper's constant: S = 1 -> S = 2
import evh
def check(output):
    return evh.S
--- evh
S = 1
=== a helper's name: S = 1 -> S = 2
from evh import S
def check(output):
    return S
--- evh
S = 1
=== a helper under another name: S = 1 -> S = 2
import evh as e
def check(output):
    return e.f(output)
--- evh
def f(x): return S
S = 1
=== a helper's function: + 1 -> + 2
from evh import f
def check(output):
    return f(output)
--- evh
def f(x): return g(x)
def g(x): return x + 1
=== a helper imported within: S = 1 -> S = 2
def check(output):
    import evh
    return evh.S
--- evh
S = 1
=== a helper's name imported within: S = 1 -> S = 2
def check(output):
    from evh import f
    return f(1)
--- evh
S = 1
def f(x): return S
=== by everything: S = 1 -> S = 2
from evh import *
def check(output):
    return S
--- evh
S = 1
=== an evaluator class: L = 1 -> L = 2
L = 1
class check:
    def evaluate(self, output): return L
=== its base: + 1 -> + 2
class B:
    def ok(self, x): return x + 1
class check(B):
    def evaluate(self, output): return self.ok(1)
=== its configuration: 0.8 -> 0.9
class Config:
    def __init__(self, limit): self.limit = limit
class check:
    def __init__(self): self.c = Config(0.8)
    def evaluate(self, output): return self.c.limit
check = check()
=== its configuration's configuration: limit=1 -> limit=2
class Config:
    def __init__(self, **given): vars(self).update(given)
the = Config(inner=Config(limit=1))
class J:
    def __init__(self): self.c = the
    def evaluate(self, output): return self.c.inner.limit
check = J()
=== its configuration's method: return 1 -> return 2
class Config:
    limit = 1
    def ok(self): return 1
class J:
    def __init__(self): self.c = Config()
    def evaluate(self, output): return self.c.ok()
check = J()
=== an evaluator that it calls: return 1 -> return 2
from prefect_experiments import create_evaluator
@create_evaluator
def inner(output): return 1
def check(output):
    return inner(output)
=== a made evaluator: L = 1 -> L = 2
from prefect_experiments import create_evaluator
L = 1
@create_evaluator(kind='LLM')
def check(output):
    return L
"""
MENDED = {case.partition(":")[0]: case.partition(": ")[2] for case in (OF_PARTS + CASES).split("\n=== ")[1:]}


def write(folder: Path, **modules: str) -> None:
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text + "\n")
    importlib.invalidate_caches()


def parts_of(case: str) -> tuple[str, str, str, str]:
    """The module, the helper, and the texts before and after the mend."""
    mend, _, texts = case.partition("\n")
    module, _, helper = texts.partition("\n--- evh\n")
    before, _, after = mend.partition(" -> ")
    return module, helper, before, after


def of(reference: str) -> str:
    [evaluator] = resolve_evaluators(reference)
    return evaluator.fingerprint


@pytest.mark.mostly_slow(quick=40)
@pytest.mark.parametrize("reference", ["ev.py:check", "ev:check"])
@pytest.mark.parametrize("what", MENDED)
def test_a_mend_outside_the_function_is_seen(folder: Path, what: str, reference: str) -> None:
    module, helper, before, after = parts_of(MENDED[what])
    assert (module + helper).count(before) == 1
    write(folder, ev=module, evh=helper)
    first = of(reference)
    write(folder, ev=f"import math\n\n{module}\nOTHER = 1\ndef other(x): return OTHER", evh=f"# a word\n{helper}")
    assert of(reference) == first, "what is not named does not count"
    write(folder, ev=module.replace(before, after), evh=helper.replace(before, after))
    assert of(reference) != first
    write(folder, ev=module, evh=helper)
    assert of(reference) == first


CHANGING = """
=== a counter
n = 0
def check(output):
    global n
    n += 1
    return n
=== another's counter
n = 0
def note():
    global n
    n += 1
def check(output):
    note()
    return n
=== a helper's counter
import evh
def check(output):
    evh.note()
    return evh.n
=== a helper's attribute
import evh
def check(output):
    evh.m += 1
    return evh.m
=== a cache
cache = {}
def check(output):
    cache[len(cache)] = output
    return cache
=== a list
seen = ['a']
def check(output):
    seen.append(output)
    return seen
=== an object
class S:
    n = 0
stats = S()
def check(output):
    stats.n += 1
    return stats.n
=== a lock
import threading, random
l = threading.Lock()
r = random.Random()
def check(output):
    with l: return r.random()
=== a cached function
import functools
@functools.cache
def a(x): return x
def check(output): return a(output)
=== an iterator
import itertools
i = itertools.count()
def check(output): return next(i)
=== a closure
def make():
    n = 0
    def inner():
        nonlocal n
        n += 1
        return n
    return inner
c = make()
def check(output): return c()
=== a lazy import
def check(output):
    import evh
    return evh.note()
"""
STATE = dict(case.split("\n", 1) for case in CHANGING.split("\n=== ")[1:])
HELPER = "n = m = 0\ndef note():\n    global n\n    n += 1\n"


@pytest.mark.parametrize("what", STATE)
def test_state_does_not_count(folder: Path, what: str) -> None:
    write(folder, ev=STATE[what] + "\ndef again(): return lambda output: check(output)", evh=HELPER)
    check, again = load_reference("ev.py:check"), load_reference("ev.py:again")
    before = [callable_fingerprint(each) for each in (check, again())]
    for output in range(3):
        check(output)
    assert [callable_fingerprint(each) for each in (check, again())] == before
    script = (
        "from prefect_experiments.keys import callable_fingerprint as f; import ev\n"
        "for n in range(int({})): ev.check(n)\nprint(f(ev.check), f(ev.again()))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", script.format(calls)],
            cwd=folder,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, calls in (("0", 0), ("1", 0), ("2", 0))
    }
    assert printed == {" ".join(before) + "\n"}


@pytest.mark.thorough
def test_every_mend_has_one_fingerprint_in_every_process(folder: Path) -> None:
    for number, case in enumerate(MENDED.values()):
        module, helper, *_ = parts_of(case)
        write(folder, **{f"ev{number}": module.replace("evh", f"evh{number}"), f"evh{number}": helper})
    script = """
import sys
from prefect_experiments.evaluators import resolve_evaluators
for number in range(int(sys.argv[1])):
    print(*(resolve_evaluators(f"ev{number}{how}:check")[0].fingerprint for how in ("", ".py")))
"""
    printed = {
        subprocess.run(
            [sys.executable, "-c", script, str(len(MENDED))],
            cwd=folder,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    [lines] = printed
    assert all(len(set(line.split())) == 1 for line in lines.splitlines()), "by path and by name it is the same"


def test_a_script_is_the_users_own(folder: Path) -> None:
    """Also what it imports within a function, whether that is loaded yet or not."""
    text = """
        import sys
        from prefect_experiments.keys import callable_fingerprint
        LIMIT = {limit}
        def check(output):
            import evh
            return evh.S > LIMIT
        if len(sys.argv) > 1:
            check(1)
        print(callable_fingerprint(check))
    """

    def printed(limit: int, s: int, *args: str) -> str:
        write(folder, script=textwrap.dedent(text.format(limit=limit)), evh=f"S = {s}")
        done = subprocess.run(
            [sys.executable, "-B", "script.py", *args], cwd=folder, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert len({printed(1, 1), printed(2, 1), printed(1, 2)}) == 3
    assert printed(1, 1) == printed(1, 1, "called")


def test_what_only_type_checkers_read_is_not_loaded(folder: Path) -> None:
    text = (
        "from typing import TYPE_CHECKING\ndef check(output):\n    if TYPE_CHECKING:\n        import evh\n    return 1"
    )
    write(folder, ev=text, evh="open('ran', 'w').close()")
    assert of("ev:check")
    assert callable_fingerprint(importlib.import_module("ev").check)
    assert not (folder / "ran").exists()


def test_a_part_that_fills_a_container_is_the_same_in_the_next_process(folder: Path) -> None:
    text = "class Cache:\n    def __init__(self):\n        self.path, self.known = 'c', {known}\nclass check:\n"
    text += "    def __init__(self): self.cache = Cache()\n    def evaluate(self, output): return 1\ncheck = check()"
    seen = set()
    for known in ("", "abc"):
        (folder / "known").write_text(known)
        write(folder, ev=text.format(known="{*open('known').read()}"))
        sys.modules.pop("ev", None)
        seen.add(callable_fingerprint(importlib.import_module("ev").check))
    assert len(seen) == 1


def test_installed_packages_are_not_followed(folder: Path) -> None:
    installed = folder / "site-packages"
    installed.mkdir()
    seen = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(installed))
        for value in (1, 2):
            sys.modules.pop("installed_judge", None)
            (installed / "installed_judge.py").write_text(
                f"S = {value}\ndef f(x):\n    return S\nclass C:\n    limit = {value}\nc = C()\n"
            )
            write(
                folder,
                ev="import installed_judge as i\n\ndef check(output):\n    return i.S, i.f(1), i.C.limit, i.c"
                + f"\n# {value}",
            )
            importlib.invalidate_caches()
            seen.add(of("ev.py:check"))
    assert len(seen) == 1


class Proxy:
    """As Flask's `request` and Django's `settings`: any look at it fails."""

    __module__ = "flask"

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("working outside of a request")


proxy = Proxy()
odd: Any = [threading.local(), object(), proxy]
THE_LIMIT = 3


def test_what_cannot_be_looked_at_fails_nothing() -> None:
    def check(output: Any) -> Any:
        return proxy.anything, odd, THE_LIMIT

    assert callable_fingerprint(check)
    assert callable_fingerprint(functools.partial(check, proxy.__class__ if False else 1))


@pytest.mark.thorough
def test_a_large_application_is_followed_to_a_bound(folder: Path) -> None:
    """Each function names the next; the nearest count."""
    text = "\n".join(f"def f{n}(x):\n    return f{n + 1}(x)" for n in range(1500))
    write(folder, ev=text + "\ndef f1500(x): return 1")
    first = of("ev.py:f0")
    write(folder, ev=text.replace("return f600(x)", "return f600(x) + 1") + "\ndef f1500(x): return 1")
    assert of("ev.py:f0") != first


def test_objects_that_hold_each_other(folder: Path) -> None:
    text = """
        class Node:
            def __init__(self, value, parent=None):
                self.value, self.parent, self.children = value, parent, []
                if parent: parent.children.append(self)
            def __call__(self, output): return self.value
        check = Node(0)
        for n in range(30):
            for m in range(2):
                Node(m, Node({value}, check))
    """
    seen = []
    for value in (1, 1, 2):
        write(folder, ev=textwrap.dedent(text.format(value=value)))
        seen.append(of("ev.py:check"))
    assert seen[0] == seen[1] != seen[2]


def test_new_code_in_a_function_behind_is_seen() -> None:
    """As a notebook's autoreload puts it there."""
    scope: dict[str, Any] = {}
    exec("def behind(): return 1\ndef check(output): return behind()", scope)
    before = callable_fingerprint(scope["check"])
    exec("def behind(): return 2", other := {})
    scope["behind"].__code__ = other["behind"].__code__
    assert callable_fingerprint(scope["check"]) != before


def test_a_helper_that_a_notebook_cell_makes_anew_counts() -> None:
    """The function that calls it is the same object as before."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("def helper(o): return o == 1\ndef right(output): return helper(output)", scope)
    before = callable_fingerprint(scope["right"])
    assert callable_fingerprint(scope["right"]) == before
    exec("def helper(o): return True", scope)
    assert callable_fingerprint(scope["right"]) != before
