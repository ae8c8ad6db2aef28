"""Whom judges ask: the endpoint that the user has configured, and no other.

autoevals by itself sends what it asks, with ``OPENAI_API_KEY``, to a gateway of Braintrust's where ``OPENAI_BASE_URL``
is not set, and waits within a call for hours where it is told that calls come too fast. In the calls of pixie's
evaluators it asks by a client of ours instead; what else uses autoevals is left as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import os
import threading
from collections.abc import Iterator
from typing import Any, Final
from weakref import WeakKeyDictionary

from prefect_experiments.contexts import make_calls_here
from prefect_experiments.errors import InvalidEvaluator

_KEY, _ADDRESS = "OPENAI_API_KEY", "OPENAI_BASE_URL"
_OPENAI: Final = "https://api.openai.com/v1"

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], Any]] = WeakKeyDictionary()
_lock = threading.Lock()


class _NeverRaised(Exception):
    """What autoevals is to wait for: nothing. "Too fast" is for the experiment's own rate limit to see."""


def check_endpoint(name: str) -> None:
    """Refuse a judge that could ask nobody.

    Raises:
        InvalidEvaluator: neither a key nor a client is configured; the text says what to set.
    """
    if not _key() and _client_of_the_user_in_calls() is None:
        raise InvalidEvaluator(
            f"evaluator {name!r} asks a model, and {_KEY} is not set: nothing was run. Set it; for an endpoint other "
            f"than OpenAI's set {_ADDRESS} too (with any text as the key of a server that wants none)"
        )


@contextlib.contextmanager
def asking_as_configured() -> Iterator[None]:
    """While this is entered, autoevals asks the user's endpoint, in this context alone.

    A client that the user has given to ``autoevals.init`` stays the one that is used.
    """
    from autoevals import oai

    own = oai._client_var.get(None)
    token = oai._client_var.set(_client() if own is None else impatient(own))
    try:
        yield
    finally:
        oai._client_var.reset(token)


def impatient(client: Any) -> Any:
    """A client, the same, with which autoevals does not wait within a call."""
    from autoevals import oai

    found = copy.copy(oai.resolve_client(client, is_async=True))
    found.RateLimitError = _NeverRaised
    return found


def _client() -> Any:
    """Of this event loop, for what is configured at present: its connections belong to the loop."""
    where = os.environ.get(_ADDRESS, "").strip() or _OPENAI, _key()
    if not where[1]:
        raise InvalidEvaluator(f"{_KEY} is not set: a judge can ask nobody")
    loop = asyncio.get_running_loop()
    with _lock:
        of_loop = _clients.setdefault(loop, {})
        if where not in of_loop:
            from openai import AsyncOpenAI

            # The engine retries, by what the experiment says.
            of_loop[where] = impatient(AsyncOpenAI(base_url=where[0], api_key=where[1], max_retries=0))
        return of_loop[where]


def _key() -> str:
    return os.environ.get(_KEY, "").strip()


def _client_of_the_user_in_calls() -> Any:
    """What was given to ``autoevals.init``, by the user's modules too, as calls will see it."""
    from autoevals import oai

    def look() -> Any:
        make_calls_here()
        return oai._client_var.get(None)

    return contextvars.copy_context().run(look)
