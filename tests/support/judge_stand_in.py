"""A local server for all that judges ask: chat, responses, embeddings, moderation. It answers by the prompt alone.

    with JudgeStandIn() as server:
        ...  # OPENAI_BASE_URL=server.url

What a tool is called with is made of its schema and of the prompt's hash, so that the same prompt has the same answer
in whatever process asks.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from support.openai_server import OpenAIServer, error_body

_DIMENSIONS = 8


class JudgeStandIn(OpenAIServer):
    """The server, as a context manager.

    Args:
        refused: that many requests, the first ones, are answered 429.
        answers: what chat requests without tools are answered.

    Attributes:
        requests: path and body of each, as canonical JSON.
        keys: that came with them.
    """

    def __init__(self, *, refused: int = 0, answers: str = "Score: 0.75\nbecause") -> None:
        self.refused, self.answers = refused, answers
        self.requests: list[tuple[str, str]] = []
        self.keys: set[str] = set()
        super().__init__()

    @property
    def prompts(self) -> set[tuple[str, str]]:
        """What was asked, each once: concurrent calls may ask twice for what autoevals then keeps."""
        return set(self.requests)

    def answer(self, path: str, key: str, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body for one request."""
        with self._lock:
            self.keys.add(key)
            self.requests.append((path, json.dumps(body, sort_keys=True)))
            if len(self.requests) <= self.refused:
                return 429, {}, error_body("too fast", "rate_limit_exceeded")
        answers = {
            "/v1/chat/completions": self._chat,
            "/v1/responses": self._response,
            "/v1/embeddings": _embeddings,
            "/v1/moderations": _moderation,
        }
        if path not in answers:
            return 404, {}, error_body(f"no such path: {path}", "not_found")
        return 200, {}, answers[path](body)

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = json.dumps(body["messages"])
        message: dict[str, Any] = {"role": "assistant", "content": self.answers}
        if tools := body.get("tools"):
            call = {"id": "call_1", "type": "function", "function": _called(tools[0]["function"], prompt)}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "c", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [choice]}

    def _response(self, body: dict[str, Any]) -> dict[str, Any]:
        call = _called(body["tools"][0], json.dumps(body["input"]))
        output = [{"type": "function_call", "id": "f", "call_id": "call_1", "status": "completed", **call}]
        return {
            "id": "r",
            "object": "response",
            "created_at": 0,
            "model": body["model"],
            "output": output,
            "parallel_tool_calls": False,
            "tool_choice": "required",
            "tools": [],
        }


def _called(function: dict[str, Any], prompt: str) -> dict[str, str]:
    schema = function["parameters"]
    return {"name": function["name"], "arguments": json.dumps(_filled(schema, schema, prompt))}


def _filled(schema: dict[str, Any], whole: dict[str, Any], seed: str) -> Any:
    """A value that a JSON schema allows, by a seed."""
    if "$ref" in schema:
        found = whole
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return _filled(found, whole, seed)
    if "enum" in schema:
        return schema["enum"][_number(seed) % len(schema["enum"])]
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: _filled(part, whole, f"{seed}/{name}") for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_filled(schema.get("items", {"type": "string"}), whole, f"{seed}/{n}") for n in range(2)]
    return _number(seed) % 2 if kind in ("integer", "number", "boolean") else f"said {_number(seed) % 1000}"


def _number(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6])


def _embeddings(body: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(body["input"])
    vector = [1 + _number(f"{text}/{n}") % 1000 / 500 for n in range(_DIMENSIONS)]
    return {
        "object": "list",
        "model": body["model"],
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }


def _moderation(body: dict[str, Any]) -> dict[str, Any]:
    flagged = _number(json.dumps(body["input"])) % 2 == 0
    result = {"flagged": flagged, "categories": {"violence": flagged}, "category_scores": {"violence": 0.9 * flagged}}
    return {"id": "m", "model": "stand-in", "results": [result]}
