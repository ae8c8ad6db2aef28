"""An experiment with odd results in it. Phoenix's own client is not imported here: that takes a quarter of a minute."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect_experiments import Client, EvaluationResult


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": f"e{n}", "input": {"n": n}, "output": {"n": 2 * n}} for n in range(count)]


async def double(input: Any) -> Any:
    await asyncio.sleep(0.01)
    if input["n"] == 7:
        raise ValueError("not this one")
    return {"n": 2 * input["n"], "text": "Ü — 日本語"}


def right(output: Any, expected: Any) -> bool:
    if output["n"] == 6:
        raise ZeroDivisionError("cannot say")
    return bool(output["n"] == expected["n"])


def near(output: Any, input: Any) -> EvaluationResult:
    return EvaluationResult(score=input["n"] / 3, label="near", explanation="why", metadata={"n": input["n"]})


options: dict[str, Any] = {"task": double, "evaluators": [right, near], "print_summary": False, "retries": 0}


def phoenix(url: str, store_url: str) -> Client:
    return Client(backend="phoenix", base_url=url, store_url=store_url)
