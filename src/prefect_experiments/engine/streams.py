"""Reading the stream that a task gave: a generator, an async generator, what an LLM's client streams by."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from prefect_experiments import unread
from prefect_experiments.json_forms import has_form
from prefect_experiments.jsonable import NotJson
from prefect_experiments.unread import is_async_stream, is_awaitable

MOST_CHUNKS = 1_000_000
_NO_STREAMS = frozenset({str, dict, list, int, float, bool, tuple, type(None)})  # what most tasks give
_LET_OTHERS_RUN = 100  # chunks
_BROKE_OFF = "the stream broke off after "
_BESIDE_CONTENT = ("tool_calls", "function_call", "refusal", "audio")
_TEXT_EVENTS = {"response.output_text.delta": "delta", "content_block_delta": "delta.text"}
_EVENTS_BESIDE_TEXT = frozenset({
    "message_start", "message_delta", "message_stop", "content_block_start", "content_block_stop", "ping", "text",
    "response.created", "response.queued", "response.in_progress", "response.completed",
    "response.output_item.added", "response.output_item.done", "response.content_part.added",
    "response.content_part.done", "response.output_text.done",
})  # fmt: skip


def is_stream(value: Any) -> bool:
    """Whether it is to be read with ``for``: a model, a table or a mapping is not, though it can be."""
    return unread.is_stream(value) and (hasattr(type(value), "__next__") or not has_form(value))


def has_to_be_read(value: Any) -> bool:
    """Whether it is a stream of either sort."""
    return type(value) not in _NO_STREAMS and (is_async_stream(value) or is_stream(value))


def belongs_in_a_loop(value: Any) -> bool:
    """Whether it is to be awaited, or read with ``async for``."""
    return is_awaitable(value) or is_async_stream(value)


class Reading:
    """One reading of a stream in a thread, which goes on only as long as somebody waits for it."""

    is_wanted = True

    def read(self, stream: Any) -> Any:
        """The stream's content, see `joined`.

        Raises:
            NotJson: it has more chunks than anybody means to keep; what the stream raises, with a note of how
                much had come.
        """
        chunks: list[Any] = []
        try:
            for chunk in stream:
                if not self.is_wanted:
                    break
                _take(chunk, chunks)
        except BaseException as error:
            _note(error, len(chunks))
            raise
        finally:
            if (close := getattr(stream, "close", None)) is not None:
                with contextlib.suppress(Exception):  # what has come has come
                    close()
        return joined(chunks)


async def read_async(stream: Any) -> Any:
    """An async stream's content, see `Reading.read`."""
    chunks: list[Any] = []
    try:
        async for chunk in stream:
            _take(chunk, chunks)
            if len(chunks) % _LET_OTHERS_RUN == 0:  # some streams never wait for anything
                await asyncio.sleep(0)
    except BaseException as error:
        _note(error, len(chunks))
        raise
    finally:
        with contextlib.suppress(Exception):
            await _close(stream)
    return joined(chunks)


async def _close(stream: Any) -> None:
    close = getattr(stream, "aclose", None) or getattr(stream, "close", None)
    if close is not None and is_awaitable(closed := close()):
        await closed


def _take(chunk: Any, chunks: list[Any]) -> None:
    if len(chunks) >= MOST_CHUNKS:
        raise NotJson(f"the stream has more than {MOST_CHUNKS:,} chunks; end it, or return what you need of it")
    chunks.append(chunk)


def _note(error: BaseException, chunks: int) -> None:
    """Say with the error how much had come; one that is raised again and again says so once."""
    notes = [note for note in getattr(error, "__notes__", ()) if not note.startswith(_BROKE_OFF)]
    error.__notes__ = [*notes, f"{_BROKE_OFF}{chunks} chunk{'' if chunks == 1 else 's'}"]


def joined(chunks: Sequence[Any]) -> Any:
    """One text of chunks that are all text, or an LLM's pieces of a text; the list of them otherwise."""
    if chunks and all(isinstance(chunk, bytes) for chunk in chunks):
        return b"".join(chunks)
    texts = []
    for chunk in chunks:
        text = chunk if isinstance(chunk, str) else _text_of(chunk)
        if text is None:
            return list(chunks)
        texts.append(text)
    return "".join(texts)


def _text_of(chunk: Any) -> str | None:
    """The text in a piece of an answer of OpenAI's or Anthropic's kind; ``None`` where it is not text alone."""
    choices = _get(chunk, "choices")
    if isinstance(choices, list) and _get(chunk, "model") is not None:
        return "" if not choices else _text_of_choice(choices[0]) if len(choices) == 1 else None
    event = _get(chunk, "type")
    if not isinstance(event, str):
        return None
    if event in _TEXT_EVENTS:
        text = chunk
        for name in _TEXT_EVENTS[event].split("."):
            text = _get(text, name)
        return text if isinstance(text, str) else None
    return "" if event in _EVENTS_BESIDE_TEXT and not _is_of_a_tool(chunk) else None


def _text_of_choice(choice: Any) -> str | None:
    delta = _get(choice, "delta")
    if _get(choice, "index") not in (0, None) or any(_get(delta, name) for name in _BESIDE_CONTENT):
        return None
    text = _get(choice, "text") if delta is None else _get(delta, "content")
    return "" if text is None and delta is not None else text if isinstance(text, str) else None


def _is_of_a_tool(event: Any) -> bool:
    kind = _get(_get(event, "content_block") or _get(event, "item"), "type")
    return kind not in {None, "text", "message", "reasoning"}


def _get(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
