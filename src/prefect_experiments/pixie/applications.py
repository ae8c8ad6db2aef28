"""The application that a pixie dataset is for, as a task: a `Runnable` of pixie's, or any function."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import logging
import typing
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from prefect_experiments.errors import InvalidDataset, InvalidTask
from prefect_experiments.models import Example
from prefect_experiments.opening import closing, waiting_for
from prefect_experiments.pixie.examples import Captured, Entry
from prefect_experiments.pixie.project import NEEDS_PIXIE, Project, lacks_pixie
from prefect_experiments.pixie.wrap import pixies_wrap, wrapping
from prefect_experiments.reference_calls import makes_references
from prefect_experiments.tasks import is_async_callable
from prefect_experiments.unread import is_awaitable

STRAGGLERS_S = 10.0  # for calls that go on although they were cancelled, before a teardown

logger = logging.getLogger("prefect_experiments")


@makes_references
def application(reference: str, root: str) -> Application:
    """The application of a pixie project, as a task that takes ``example``.

    Args:
        reference: ``path/to/file.py:Name`` of a `Runnable` class, or of a function that takes the arguments as a dict.
        root: the project's folder.

    Raises:
        InvalidReference: it leads nowhere, or out of the project.
        InvalidTask: what it leads to cannot be called so.
    """
    project = Project(Path(root))
    found = project.load(reference)
    pixies_wrap()  # before anything is run: that of an unknown version is refused
    if isinstance(found, type) and all(callable(getattr(found, name, None)) for name in ("create", "run")):
        return RunnableApplication(reference, project, found)
    if not callable(found):
        raise InvalidTask(f"runnable {reference!r} leads to a {type(found).__name__}, which cannot be called")
    kind = AsyncFunctionApplication if is_async_callable(found) else FunctionApplication
    return kind(reference, project, found)


class Application:
    """An application of a pixie project; a task by its `__call__`, which takes ``example``.

    Attributes:
        target: the user's class or function.
    """

    def __init__(self, reference: str, project: Project, target: Callable[..., Any]) -> None:
        self._reference, self._project, self.target = reference, project, target
        self.__name__ = reference.rpartition(":")[2].strip()

    def __reduce__(self) -> tuple[Any, ...]:
        return application, (self._reference, str(self._project.root))

    @property
    def __reference__(self) -> str:
        return f"prefect_experiments.pixie:application({self._reference!r}, {str(self._project.root)!r})"

    @property
    def __made_of__(self) -> Any:
        """What its fingerprint is made of: where the project is makes no difference."""
        return self.target

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Around all calls of an experiment: the project's modules can be imported."""
        with self._project.importable():
            yield

    @contextlib.contextmanager
    def _calling(self, entry: Entry) -> typing.Iterator[Callable[[Any], Captured]]:
        try:
            with wrapping(entry) as captured:
                yield captured
        except ModuleNotFoundError as error:
            if lacks_pixie(error):
                raise InvalidTask(f"{self._reference}: {NEEDS_PIXIE}") from error
            raise


class FunctionApplication(Application):
    """A plain function that takes the arguments as a dict; called in a worker thread."""

    def __call__(self, example: Example) -> Any:
        """What the function gives for an entry."""
        entry = Entry.of(example)
        with self._calling(entry) as captured:
            value = self.target(dict(entry.arguments))
            return self._awaited(value, entry) if is_awaitable(value) else captured(value).to_output()

    async def _awaited(self, value: Any, entry: Entry) -> dict[str, Any]:
        """Of a lambda around a coroutine function, say."""
        with self._calling(entry) as captured:
            return captured(await value).to_output()


class AsyncFunctionApplication(Application):
    """A coroutine function that takes the arguments as a dict."""

    async def __call__(self, example: Example) -> dict[str, Any]:
        """What the function gives for an entry."""
        entry = Entry.of(example)
        with self._calling(entry) as captured:
            return captured(await self.target(dict(entry.arguments))).to_output()


class RunnableApplication(Application):
    """A `Runnable` of pixie's: one object for all calls of an experiment, or of each of its worker processes.

    Raises:
        InvalidTask: its `run` does not say by a pydantic model what it takes.
    """

    def __init__(self, reference: str, project: Project, target: Any) -> None:
        super().__init__(reference, project, target)
        self._create: Callable[[], Any] = target.create
        self._model = arguments_model(target)
        self._code = functools.partial(target, self._model)

    @property
    def __made_of__(self) -> Any:
        """The class, and the model of its arguments, which its code need not name."""
        return self._code

    async def __call__(self, example: Example) -> dict[str, Any]:
        """What a run of an entry gives; outside an experiment the object is made for this one."""
        if (live := _lives.get().get(self)) is None:
            async with self.lifespan():
                return await self(example)
        entry = Entry.of(example)
        with self._calling(entry) as captured:
            args = self._validated(entry.arguments)
            with live.in_flight():
                value = live.runnable.run(args)
                value = await value if is_awaitable(value) else value
            return captured(value).to_output()

    def _validated(self, arguments: Mapping[str, Any]) -> BaseModel:
        try:
            return self._model.model_validate(dict(arguments))
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False)
            said = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in found)
            raise InvalidDataset(
                f"the entry's arguments are not what {self.__name__}.run(args: {self._model.__name__}) takes: {said}"
            ) from None

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Around all calls of an experiment: ``create()`` and ``setup()`` before, ``teardown()`` behind.

        As with pixie, ``teardown()`` is called also where ``setup()`` failed; what it says then is only in the log.
        """
        before = _lives.get()
        with self._project.importable():
            with waiting_for(f"{self.__name__}.create()"):
                live = _Live(await _given(self._create))
            _lives.set({**before, self: live})
            try:
                await self._set_up(live)
                try:
                    yield
                finally:
                    await self._tear_down(live)
            finally:
                _lives.set(before)

    async def _set_up(self, live: _Live) -> None:
        try:
            with waiting_for(f"{self.__name__}.setup()"):
                await _given(getattr(live.runnable, "setup", None))
        except BaseException:
            # It often fails on what setup() did not make, and would hide why.
            async with closing(f"{self.__name__}.teardown(), called after a failed setup(),"):
                await self._tear_down(live)
            raise

    async def _tear_down(self, live: _Live) -> None:
        if not await live.has_ended():
            logger.error(
                "%s.teardown() is not called: %s calls of run() go on, though they were cancelled.",
                self.__name__,
                live.calls,
            )
            return
        with waiting_for(f"{self.__name__}.teardown()"):
            await _given(getattr(live.runnable, "teardown", None))


class _Live:
    """An object of a `Runnable` class, with the calls of its `run` that are under way."""

    def __init__(self, runnable: Any) -> None:
        self.runnable = runnable
        self._calls: set[asyncio.Task[Any]] = set()

    @property
    def calls(self) -> int:
        return len(self._calls)

    @contextlib.contextmanager
    def in_flight(self) -> typing.Iterator[None]:
        """While a call is under way."""
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        try:
            yield
        finally:
            self._calls.discard(call)

    async def has_ended(self) -> bool:
        """Whether no call is under way, once those that have outlived their timeout were given a while to end."""
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=STRAGGLERS_S)
        return not self._calls


# The objects that are set up for the calls of this context: two experiments at once have one each.
_lives: contextvars.ContextVar[Mapping[Application, _Live]] = contextvars.ContextVar(
    "prefect_experiments_pixie_lives",
    default={},  # noqa: B039 - never changed, only replaced
)


async def _given(function: Callable[[], Any] | None) -> Any:
    value: Any = None if function is None else function()
    return await value if is_awaitable(value) else value


def arguments_model(runnable: Any) -> type[BaseModel]:
    """The pydantic model that a `Runnable` takes its arguments as: what its ``run(args: Model)`` says.

    Raises:
        InvalidTask: it says none.
    """
    run = inspect.unwrap(runnable.run)
    name = f"{runnable.__name__}.run()"
    said = inspect.get_annotations(run).get("args")
    if said is None:
        raise InvalidTask(f"{name} must have a type-annotated 'args' parameter: the pydantic model of its arguments")

    def only_args() -> None: ...

    only_args.__annotations__ = {"args": said}  # another annotation may name what only type checkers import
    try:
        model = typing.get_type_hints(only_args, getattr(run, "__globals__", {}), dict(vars(runnable)))["args"]
    except Exception as error:  # noqa: BLE001 - whatever evaluating an annotation raises
        raise InvalidTask(f"{name}: its annotation args: {said!r} cannot be read: {error}") from None
    if not isinstance(model, type) or not issubclass(model, BaseModel):
        raise InvalidTask(f"{name} 'args' must be a BaseModel subclass, got {model!r}")
    return model
