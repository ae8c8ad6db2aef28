"""What makes one text of a stream's chunks, and what keeps them as they came."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import run


def piece(delta: Any = None, **more: Any) -> dict[str, Any]:
    """A chunk as OpenAI's client gives it."""
    return {"model": "m", "choices": [{"index": 0, "delta": delta, **more}]}


PA = piece({"content": "Pa"})
START = {"type": "content_block_start", "content_block": {"type": "text"}}
PA_OF_ANTHROPIC = {"type": "content_block_delta", "delta": {"text": "Pa"}}


def of(chunks: list[Any]) -> Any:
    def task(input: Any) -> Any:
        yield from chunks

    return run(task, retries=0).output()


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        ([], ""),
        (["Pa", "ris"], "Paris"),
        ([PA, "ris"], "Paris"),
        ([PA, {"model": "m", "choices": []}], "Pa"),
        ([PA, piece({"content": None, "role": "assistant"})], "Pa"),
        ([PA, piece({"tool_calls": [], "refusal": None, "audio": None, "function_call": None})], "Pa"),
        ([{"model": "", "choices": [{"delta": {"content": "Pa"}}]}], "Pa"),
        ([{"model": "m", "choices": [{"index": 0, "text": "Pa"}]}], "Pa"),
        ([{"model": "m", "choices": [{"index": None, "text": "Pa"}]}, PA], "PaPa"),
        ([START, PA_OF_ANTHROPIC, {"type": "ping"}], "Pa"),
        ([{"type": "response.output_text.delta", "delta": "Pa"}, {"type": "response.output_text.done"}], "Pa"),
        ([PA_OF_ANTHROPIC, {"type": "response.output_item.added", "item": {"type": "message"}}], "Pa"),
        ([PA_OF_ANTHROPIC, {"type": "response.output_item.done", "item": {"type": "reasoning"}}], "Pa"),
    ],
)
def test_chunks_of_text_are_one_text(chunks: list[Any], text: str) -> None:
    assert of(chunks) == text


@pytest.mark.parametrize(
    "other",
    [
        5,
        None,
        {},
        {"choices": [{"index": 0, "delta": {"content": "ris"}}]},
        {"model": "m", "choices": {"0": "ris"}},
        {"model": "m", "choices": [{"index": 0, "delta": {"content": "ris"}}, {"index": 1, "delta": {}}]},
        {"model": "m", "choices": [{"index": 1, "delta": {"content": "ris"}}]},
        piece({"content": ["ris"]}),
        piece({"content": "ris", "tool_calls": [{"id": "t"}]}),
        piece({"content": None, "function_call": {"name": "f"}}),
        piece({"content": None, "refusal": "I cannot"}),
        piece({"content": None, "audio": {"data": "x"}}),
        {"model": "m", "choices": [{"index": 0}]},
        {"model": "m", "choices": [{"index": 0, "text": 5}]},
        {"type": 5},
        {"type": "error"},
        {"type": "content_block_delta", "delta": {"partial_json": "{"}},
        {"type": "content_block_delta", "delta": {"text": 5}},
        {"type": "content_block_start", "content_block": {"type": "tool_use"}},
        {"type": "response.output_item.added", "item": {"type": "function_call"}},
    ],
    ids=str,
)
def test_what_is_not_text_alone_is_kept_as_it_came(other: Any) -> None:
    for chunks in ([PA, other], [other, "ris"]):
        assert of(chunks) == chunks


def test_bytes_are_joined_where_all_chunks_are_bytes() -> None:
    assert of([b"Pa", b"ris"]) == "b'Paris'"
    assert of([b"Pa", "ris"]) == ["b'Pa'", "ris"]
