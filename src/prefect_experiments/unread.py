"""What a value has yet to be asked for: awaitables, streams, open files and other resources.

None of these is data. A task's stream is read, and its awaitable awaited, where it is the whole of what the
task gave; anywhere else they are an error, because their `repr` says nothing about what they would give.
"""

from __future__ import annotations

import io
from typing import Any


class Unread(ValueError):
    """A value that has to be read before it is data; the text follows its name and place."""


_CONTAINERS = ("__len__", "__getitem__", "__contains__")


def is_awaitable(value: Any) -> bool:
    """`inspect.isawaitable` without its two passes through abstract base classes: this is called for every result."""
    return hasattr(type(value), "__await__")


def is_async_stream(value: Any) -> bool:
    """Whether it gives its chunks to ``async for``."""
    return hasattr(type(value), "__aiter__") and not _is_mock(value) and hasattr(_kind(value), "__aiter__")


def is_stream(value: Any) -> bool:
    """Whether it gives its chunks to ``for``, once: an iterator, or what can be iterated and is no container.

    What has a JSON form of its own, such as a pydantic model, is the caller's to tell apart.
    """
    kind = _kind(value)
    if hasattr(kind, "__next__"):
        return not is_file(value) and not _is_mock(value)
    return (
        hasattr(kind, "__iter__")
        and not issubclass(kind, type)
        and not any(hasattr(kind, name) for name in _CONTAINERS)
        and not is_file(value)
    )


def is_file(value: Any) -> bool:
    """Whether it is an open file, or an object that is read like one."""
    return issubclass(_kind(value), io.IOBase) or (hasattr(type(value), "__iter__") and _has(value, "readline"))


def why_unread(value: Any) -> str | None:
    """Why a value is no data yet, to follow its name and place; ``None`` for what is."""
    kind = _kind(value)
    if _is_mock(value) or issubclass(kind, type):
        return None
    if is_awaitable(value):
        return "was not awaited"
    if is_file(value):
        return "is an open file; return what is in it"
    if is_async_stream(value) or is_stream(value):
        return "was not read; return its chunks as a list or a text, or the stream by itself"
    if hasattr(kind, "result") and (hasattr(kind, "done") or hasattr(kind, "wait")):
        return "is a future; return its result"
    if hasattr(kind, "__enter__") or hasattr(kind, "__aenter__"):
        return "is a resource to be used with `with`, and no data; return what it gives"
    return None


def _has(value: Any, name: str) -> bool:
    try:
        return hasattr(value, name)
    except Exception:  # noqa: BLE001 - a proxy that stands for nothing yet
        return False


def _kind(value: Any) -> type:
    """Its type; of a proxy that of what it stands for, since its own has the methods of every kind.

    Instrumentors give such proxies for the streams of the clients that they watch.
    """
    if _is_mock(value):  # which would say that it is what it is a mock of
        return type(value)
    try:
        kind = value.__class__
    except Exception:  # noqa: BLE001 - a proxy that stands for nothing yet
        return type(value)
    return kind if isinstance(kind, type) else type(value)


def _is_mock(value: Any) -> bool:
    """Whether it is one of `unittest.mock`, which have every method there is."""
    return any(base.__name__ == "NonCallableMock" for base in type(value).__mro__)
