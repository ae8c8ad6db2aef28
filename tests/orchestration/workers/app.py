"""The code of the user's whose calls workers make here. It is copied into the folder of a test, with its log.

What it does at a call is said by files in that folder: `wait` (calls from the number in it on wait for `go`), `poison`
(the call with that number kills its process), `fail` (a JSON list of those that fail), `seconds` (what a call takes),
`cost` (in dollars).
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from prefect_experiments import EvaluationResult, report_usage

HERE = Path(__file__).parent


def said(name: str, otherwise: Any = None) -> Any:
    try:
        return json.loads((HERE / name).read_text())
    except FileNotFoundError:
        return otherwise


def log(what: str, number: int) -> None:
    with (HERE / "log").open("a") as file:
        file.write(f"{what} {os.getpid()} {number} {time.monotonic()}\n")


class Refused(Exception):
    pass


def plain(input: Any) -> int:
    """The number; Phoenix keeps it as a mapping."""
    return int(input["input"]) if isinstance(input, dict) else int(input)


log("import", 0)
if said("dies") and __name__ != "__main__" and os.environ.get("DRIVER") != str(os.getpid()):
    os._exit(3)


def double(input: Any) -> int:
    input = plain(input)  # noqa: A001 - as users call it
    log("begin", input)
    if input == said("poison"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(said("seconds", 0.02))
    while input >= said("wait", 10**9) and not (HERE / "go").exists():
        time.sleep(0.01)
    if cost := said("cost"):
        report_usage(cost=cost)
    log("end", input)
    if input in said("fail", ()):
        raise Refused(f"not {input}")
    return input * 2


async def double_async(input: int) -> int:
    return double(input)


def right(input: Any, output: int) -> bool:
    input = plain(input)  # noqa: A001 - likewise
    log("begin-right", input)
    time.sleep(said("seconds", 0.02))
    log("end-right", input)
    if input % 10 == 3:
        raise Refused("no opinion")
    return output == input * 2


def half(output: int) -> list[EvaluationResult]:
    return [EvaluationResult(score=output / 4, name="half"), EvaluationResult(label=str(output), name="whole")]


def late(input: int, output: int) -> float:
    log("begin-late", input)
    return float(output - input)
