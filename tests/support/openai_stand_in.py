"""A local server that speaks as much of OpenAI's API as applications and judges need, and judges honestly.

Chat completions, streamed ones too, responses and embeddings, each with its ``usage``.

    with OpenAIStandIn() as server:
        llm = LLM(provider="openai", model="stand-in", base_url=server.url, api_key="none")

The answer depends on the prompt alone: an output is supported when its text stands in the
evidence, both between tags (``<output>``; ``<reference>``, ``<context>`` or ``<input>``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from support.openai_server import OpenAIServer, error_body

Judge = Callable[[str, list[str]], str]
NEGATIVE = {"hallucinated", "incorrect", "unfaithful", "unsupported", "wrong", "bad", "no", "irrelevant"}
PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings")
PLAIN_LABELS = ["supported", "unsupported"]


def judge_support(prompt: str, labels: list[str]) -> str:
    """The label that says whether the prompt's output stands in the prompt's evidence."""
    output = _section(prompt, "output")
    evidence = next((text for tag in ("reference", "context", "input") if (text := _section(prompt, tag))), "")
    supported = bool(output) and output.casefold() in evidence.casefold()
    good = next((label for label in labels if label not in NEGATIVE), labels[0])
    bad = next((label for label in labels if label != good), good)
    return good if supported else bad


def _section(prompt: str, tag: str) -> str:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", prompt, re.DOTALL)
    return found[-1].strip() if found else ""


class OpenAIStandIn(OpenAIServer):
    """The server, as a context manager.

    Args:
        judge: gives the label for a prompt and the labels it may have.
        rate_limited: that many requests, the first ones, are answered 429 with ``Retry-After``.
        retry_after: seconds, as that header says.
        structured_output: with false, ``response_format`` is refused as by a model that only has tools.
        tokens: the tokens of the prompt and of the answer that every ``usage`` says; by default their words.
        cached: so many of the prompt's tokens were in the cache, as ``usage`` says.
        reply: gives the answer to a prompt that asks for text, a judge's label by default.

    Attributes:
        requests: the body of each request that came, in order; 429s included.
    """

    def __init__(
        self,
        *,
        judge: Judge = judge_support,
        rate_limited: int = 0,
        retry_after: float = 1,
        structured_output: bool = True,
        tokens: tuple[int, int] | None = None,
        cached: int = 0,
        reply: Callable[[str], str] | None = None,
    ) -> None:
        self.reply = reply
        self.tokens = tokens
        self.cached = cached
        self.judge = judge
        self.rate_limited = rate_limited
        self.retry_after = retry_after
        self.structured_output = structured_output
        self.requests: list[dict[str, Any]] = []
        super().__init__()

    def answer(self, path: str, key: str, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body for one request; of what is streamed, the list of its chunks."""
        if path not in PATHS:
            return 404, {}, error_body(f"no such path: {path}", "not_found")
        with self._lock:
            self.requests.append(body)
            refuse = len(self.requests) <= self.rate_limited
        if refuse:
            return (
                429,
                {"Retry-After": f"{self.retry_after:g}"},
                error_body("rate limit reached", "rate_limit_exceeded"),
            )
        if "response_format" in body and not self.structured_output:
            return 400, {}, error_body("response_format is not supported by this model", "invalid_request_error")
        if path == "/v1/embeddings":
            return 200, {}, self._embeddings(body)
        if path == "/v1/responses":
            return 200, {}, self._response(body)
        prompt = "\n".join(_text(message.get("content")) for message in body["messages"])
        completion = self._completion(body, prompt, self._message(body, prompt))
        return 200, {}, _chunks(body, completion) if body.get("stream") else completion

    def _counted(self, prompt: str, answer: str) -> tuple[int, int]:
        return self.tokens or (len(prompt.split()), len(answer.split()))

    def _completion(self, body: dict[str, Any], prompt: str, message: dict[str, Any]) -> dict[str, Any]:
        asked, answered = self._counted(prompt, json.dumps(message))
        usage = {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
        if self.cached:
            usage |= {"prompt_tokens_details": {"cached_tokens": self.cached}}
        return {
            "id": "chatcmpl-stand-in",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
            "usage": usage,
        }

    def _embeddings(self, body: dict[str, Any]) -> dict[str, Any]:
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        asked, _ = self._counted(" ".join(map(str, texts)), "")
        found = [{"object": "embedding", "index": n, "embedding": [0.5, 0.5]} for n, _ in enumerate(texts)]
        usage = {"prompt_tokens": asked, "total_tokens": asked}
        return {"object": "list", "data": found, "model": body["model"], "usage": usage}

    def _response(self, body: dict[str, Any]) -> dict[str, Any]:
        text = self.judge(str(body["input"]), PLAIN_LABELS)
        asked, answered = self._counted(str(body["input"]), text)
        usage = {"input_tokens": asked, "output_tokens": answered, "total_tokens": asked + answered}
        usage |= {"input_tokens_details": {"cached_tokens": self.cached}}
        usage |= {"output_tokens_details": {"reasoning_tokens": 0}}
        content = [{"type": "output_text", "text": text, "annotations": []}]
        return {
            "id": "resp_stand_in",
            "object": "response",
            "created_at": 0,
            "status": "completed",
            "model": body["model"],
            "output": [
                {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"} | {"content": content}
            ],
            "parallel_tool_calls": False,
            "tool_choice": "auto",
            "tools": [],
            "usage": usage,
        }

    def _message(self, body: dict[str, Any], prompt: str) -> dict[str, Any]:
        if tools := body.get("tools"):
            function = tools[0]["function"]
            arguments = json.dumps(self._filled(function["parameters"], prompt))
            call = {"name": function["name"], "arguments": arguments}
            return {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
            }
        if "response_format" in body:
            schema = body["response_format"]["json_schema"]["schema"]
            return {"role": "assistant", "content": json.dumps(self._filled(schema, prompt))}
        text = self.reply(prompt) if self.reply else self.judge(prompt, PLAIN_LABELS)
        return {"role": "assistant", "content": text}

    def _filled(self, schema: dict[str, Any], prompt: str) -> dict[str, str]:
        fields = schema["properties"]
        label = self.judge(prompt, _labels(fields["label"] if "label" in fields else fields["choice"]))
        explanation = f"found {label}: {_section(prompt, 'output')!r}"
        texts = {
            "label": label,
            "explanation": explanation,
            "choice": label,
            "reasons": explanation,
        }  # autoevals' words
        return {name: texts[name] for name in fields}


def _labels(schema: dict[str, Any]) -> list[str]:
    return schema.get("enum") or [choice["const"] for choice in schema["oneOf"]]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or [])


def _chunks(body: dict[str, Any], completion: dict[str, Any]) -> list[dict[str, Any]]:
    """A completion in pieces; the last has the usage, where it was asked for."""
    head = {"id": completion["id"], "object": "chat.completion.chunk", "created": 0, "model": completion["model"]}
    [choice] = completion["choices"]
    pieces: list[dict[str, Any]] = [
        {"role": "assistant", "content": word} for word in choice["message"]["content"].split()
    ]
    chunks = [head | {"choices": [{"index": 0, "delta": piece, "finish_reason": None}]} for piece in pieces]
    chunks.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append(head | {"choices": [], "usage": completion["usage"]})
    return chunks
