"""What an object is when it is first seen in a process: its state may be another by the next look."""

from __future__ import annotations

import functools
import inspect
import operator
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

T = TypeVar("T")

_Key = tuple[Any, ...]
_Seen = tuple[tuple[Callable[[], Any], ...], list[tuple[Callable[[], Any], Any]], Any]
_seen: dict[_Key, _Seen] = {}
_kept_alive: deque[_Key] = deque()
_MOST_KEPT_ALIVE = 100


def remembered(obj: Any, make: Callable[[], tuple[T, Iterable[Any]]], *, what: str) -> T:
    """What was made of an object at first sight.

    Remembered by identity, because evaluators need not be hashable, and forgotten with the object.
    A bound method is made anew at each look at it, so it goes by its object and its function.

    Args:
        obj: any object.
        make: what to remember, and the functions that it was made of.
        what: is made of it.
    """
    parts = (obj.__self__, obj.__func__) if inspect.ismethod(obj) else (obj,)
    key: _Key = (what, *map(id, parts))
    known = _seen.get(key)
    if known and all(ref() is part for ref, part in zip(known[0], parts, strict=True)) and _is_code_of(known[1]):
        return cast("T", known[2])
    made, functions = make()
    codes: list[tuple[Callable[[], Any], Any]] = [
        (weakref.ref(each), each.__code__) for each in functions if inspect.isfunction(each)
    ]
    refs: tuple[Callable[[], Any], ...]
    try:
        refs = tuple(weakref.ref(part, lambda ref: _forget(key, ref)) for part in parts)
    except TypeError:  # slots without __weakref__: nothing would tell when its id is another's
        refs = tuple(functools.partial(operator.itemgetter(0), (part,)) for part in parts)
        _kept_alive.append(key)
        if len(_kept_alive) > _MOST_KEPT_ALIVE:
            _seen.pop(_kept_alive.popleft(), None)
    _seen[key] = refs, codes, made
    return made


def _is_code_of(functions: list[tuple[Callable[[], Any], Any]]) -> bool:
    """Whether all of them are there with that code: a notebook's cells make anew what other functions name.

    Its autoreload puts new code into old functions.
    """
    found = ((ref(), code) for ref, code in functions)
    return all(function is not None and function.__code__ is code for function, code in found)


def _forget(key: _Key, dead: Any) -> None:
    known = _seen.get(key)
    if known and any(ref is dead for ref in known[0]):
        _seen.pop(key, None)
