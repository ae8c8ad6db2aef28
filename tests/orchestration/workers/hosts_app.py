"""The code of the user's that hosts run: what it gives says which host made it. Copied into the folder of a test."""

from __future__ import annotations

import socket
import time
from pathlib import Path

HERE = Path(__file__).parent
WAITS_FROM = 30


def log(what: str, number: int) -> None:
    with (HERE / "log").open("a") as file:
        file.write(f"{what} {socket.gethostname()} {number}\n")


def double(input: int) -> dict[str, int | str]:
    log("begin", input)
    time.sleep(0.05)
    while input >= WAITS_FROM and not (HERE / "go").exists():
        time.sleep(0.02)
    log("end", input)
    return {"double": 2 * input, "host": socket.gethostname()}


def right(input: int, output: dict[str, int]) -> bool:
    return output["double"] == 2 * input
