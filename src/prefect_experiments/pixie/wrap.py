"""What an application takes in and gives out by `pixie.wrap`, for each entry by itself.

pixie's own registry is driven, as the application imports pixie's own `wrap`. Only what pixie makes of the values is
replaced, and only within the calls of an experiment: pixie would decode what a dataset holds with jsonpickle, which
runs what ``py/reduce`` and ``py/object`` in it say. Here a value is plain JSON on its way in and on its way out.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import functools
import importlib
import inspect
import logging
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from types import ModuleType
from typing import Any

import orjson

from prefect_experiments.errors import InvalidDataset, InvalidTask
from prefect_experiments.jsonable import dumps_lenient
from prefect_experiments.pixie.examples import Captured, Entry, Named

logger = logging.getLogger("prefect_experiments")

_MODULE = "pixie.instrumentation.wrap"
_READY = "_prefect_experiments_ready"

_lock = threading.Lock()


class _Given(dict[str, Any]):
    """What an entry gives to the `wrap` calls of the purpose ``input``: told by its type from any other registry."""


@contextlib.contextmanager
def wrapping(entry: Entry) -> Iterator[Callable[[Any], Captured]]:
    """While this is entered, `pixie.wrap` gives what the entry says and keeps what it is given, in this context alone.

    Gives what makes an output of what the application has returned.

    Raises:
        InvalidDataset: the application asks for an input that the entry does not have.
        InvalidTask: pixie works in a way that is not known here.
    """
    pixie = pixies_wrap()
    if pixie is None:  # then the application does without it, too
        yield lambda returned: Captured(returned)
        return
    given = _Given({item.name: item.value for item in entry.eval_input})
    if entry.form == "input_data":
        given = _Given({entry.form: entry.arguments, **given})
    pixie.set_eval_input(given)
    bodies: list[dict[str, Any]] = pixie.init_eval_output()
    try:
        yield lambda returned: Captured(returned, tuple(Named(body["name"], body["data"]) for body in [*bodies]))
    except pixie.WrapRegistryMissError as error:
        raise InvalidDataset(f"{error.args[0]} It has: {', '.join(map(repr, given)) or 'nothing'}") from None
    finally:
        pixie.clear_eval_input()
        pixie.clear_eval_output()


def pixies_wrap() -> ModuleType | None:
    """Pixie's module of that name, ready for our entries; ``None`` where pixie is not installed.

    Raises:
        InvalidTask: it works in a way that is not known here, so it might decode what a dataset holds.
    """
    if (known := sys.modules.get(_MODULE)) is not None and hasattr(known, _READY):
        return known
    with _lock:
        try:
            pixie = importlib.import_module(_MODULE)
        except ModuleNotFoundError as error:
            if error.name is not None and f"{_MODULE}.".startswith(f"{error.name}."):
                return None
            raise
        if not hasattr(pixie, _READY):
            _make_ready(pixie)
        return pixie


def _make_ready(pixie: ModuleType) -> None:
    try:
        for name, ours in (
            ("deserialize_wrap_data", _decoding),
            ("serialize_wrap_data", _encoding),
            ("_emit_and_return", _emitting),
        ):
            setattr(pixie, name, ours(pixie, getattr(pixie, name)))
        pixie.ensure_eval_capture_registered()
        works = contextvars.Context().run(_as_known, pixie)
    except Exception as error:  # noqa: BLE001 - of another version, anything
        works, why = False, f" ({type(error).__name__}: {error})"
    else:
        why = ""
    if not works:
        raise InvalidTask(
            f"pixie does not take in and give out values as pixie-qa 0.6.1 to 0.8.6 do{why}. Install one of these by "
            "pip install 'prefect-experiments[pixie]', and leave OTEL_SDK_DISABLED unset: it captures by OpenTelemetry"
        )
    setattr(pixie, _READY, True)


def _as_known(pixie: ModuleType) -> bool:
    """Whether a value goes in and comes out as it is; asked once, before anything of a dataset's is given."""
    value = {"py/tuple": [{"py/id": 1}]}
    pixie.set_eval_input(_Given(asked=value))
    bodies = pixie.init_eval_output()
    taken = pixie.wrap(None, purpose="input", name="asked")
    pixie.wrap({"told": (value,)}, purpose="output", name="told")
    return bool(taken == value and [(b["name"], b["data"]) for b in bodies] == [("told", {"told": [value]})])


def _is_ours(pixie: ModuleType) -> bool:
    return isinstance(pixie.get_eval_input(), _Given)


def _decoding(pixie: ModuleType, theirs: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Of a value that an entry gives, a copy for the `wrap` call that asks for it."""

    @functools.wraps(theirs)
    def decode(data: Any) -> Any:
        if not _is_ours(pixie):
            return theirs(data)
        value = copy.deepcopy(data)
        # pixie gives a plain function that returns the value in place of any; a coroutine function is awaited.
        caller = sys._getframe(1)
        is_wrap = caller.f_code is getattr(pixie.wrap, "__code__", None)
        return _Awaitable(value) if is_wrap and _is_coroutine_function(caller.f_locals.get("data")) else value

    return decode


def _encoding(pixie: ModuleType, theirs: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What a `wrap` call is given, as plain JSON in the state that it is in now."""

    @functools.wraps(theirs)
    def encode(data: Any) -> Any:
        if not _is_ours(pixie):
            return theirs(data)
        text, warning = dumps_lenient(data)
        if warning is not None:
            _say_not_json(warning)
        return orjson.loads(text)

    return encode


def _emitting(pixie: ModuleType, theirs: Callable[..., Any]) -> Callable[..., Any]:
    """Of a coroutine function, what it gives is kept and not, as with pixie, the coroutine."""

    @functools.wraps(theirs)
    def emit_and_return(data: Any, name: str, purpose: Any, description: str | None) -> Any:
        if not _is_ours(pixie) or not _is_coroutine_function(data):
            return theirs(data, name, purpose, description)

        @functools.wraps(data)
        async def capturing(*args: Any, **kwargs: Any) -> Any:
            value = await data(*args, **kwargs)
            return theirs(lambda: value, name, purpose, description)()

        return capturing

    return emit_and_return


@functools.cache  # once in a process
def _say_not_json(warning: str) -> None:
    logger.warning("What the application captures by wrap() is not JSON (%s).", warning)


def _is_coroutine_function(data: Any) -> bool:
    call = getattr(type(data), "__call__", None)  # noqa: B004 - wanted as a function, not as a yes or no
    return inspect.iscoroutinefunction(data) or (not inspect.isroutine(data) and inspect.iscoroutinefunction(call))


class _Awaitable:
    """Gives a value to whoever awaits it, as often as that is done."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, Any]:
        yield from ()
        return self._value
