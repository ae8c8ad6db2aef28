"""The command line in a process of its own, in a folder with an application, or in this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from prefect_experiments import Client
from prefect_experiments.cli.app import run
from support.environment import without_prefect
from support.patience import PATIENCE_S

APPLICATION = """
import asyncio, os

def answer(input):
    print("working on", input)
    if input == "b" and not os.environ.get("WORKS"):
        raise ValueError("not today")
    return input.upper()

async def slow(input):
    await asyncio.sleep(0.2)
    return input

calls = 0

async def halting(input):
    # After three calls it waits until there is a file "go".
    global calls
    calls += 1
    while calls > 3 and not os.path.exists("go"):
        await asyncio.sleep(0.02)
    return input

async def lingering(input):
    # Takes its time when it is cancelled. By then it has been told how far it is, and so what experiment it is.
    await asyncio.sleep(1)
    open("begun", "w").close()
    try:
        await asyncio.sleep(3600)
    finally:
        open("cancelled", "w").close()
        await asyncio.sleep(0.05)

def broken(input=None, output=None):
    raise RuntimeError("[bold]never[/bold]")

def right(output, expected):
    return output == expected

def length(output):
    return len(output)
"""
ROWS = "id,input,output,topic\nr1,a,A,x\nr2,b,B,x\nr3,c,?,y\nr4,d,D,y\n"


_IN_TURN = """
import json, sys
from prefect_experiments.cli.app import run
for arguments in json.loads(sys.argv[1]):
    if code := run(arguments):
        sys.exit(f"{arguments}: exit code {code}")
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document that stands on stdout."""
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """`prefect-experiments` in a folder."""

    folder: Path
    api: str | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.folder / 'store.db'}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **without_prefect(os.environ),
            "PREFECT_HOME": str(self.folder / "home"),
            "PREFECT_EXPERIMENTS_STORE_URL": self.store_url,
            # An experiment goes on without a server that is busy for long, and says what is missing there.
            "PREFECT_EXPERIMENTS_PREFECT_PATIENCE": str(PATIENCE_S),
            **({"PREFECT_API_URL": self.api} if self.api else {}),
            **self.extra,
        }

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "prefect_experiments.cli", *arguments],
            **{
                "cwd": self.folder,
                "env": self.environment,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "encoding": "utf-8",
                **options,
            },
        )

    def __call__(self, *arguments: str) -> Ended:
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=PATIENCE_S)
            except BaseException:
                process.send_signal(signal.SIGKILL)
                raise
        return Ended(process.returncode, out, err)

    def in_turn(self, *commands: Sequence[str]) -> None:
        """Commands that are to do what they are for, in one process: most of its time goes into importing Prefect."""
        subprocess.run(
            [sys.executable, "-c", _IN_TURN, json.dumps(commands)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=PATIENCE_S,
            check=True,
        )

    def client(self) -> Client:
        """The same store, in this process."""
        return Client(store_url=self.store_url)


class Here:
    """The command line in this process: for commands that run nothing, this saves the import of Prefect."""

    def __init__(self, capfd: pytest.CaptureFixture[str], store_url: str) -> None:
        self._capfd = capfd
        self.store_url = store_url
        self.client = Client(store_url=store_url)

    def __call__(self, *arguments: str) -> Ended:
        self._capfd.readouterr()
        code = run([*arguments, "--store-url", self.store_url])
        return Ended(code, *self._capfd.readouterr())

    def json(self, *arguments: str) -> Any:
        ended = self(*arguments, "--json")
        assert ended.code == 0, ended.err
        assert not ended.err
        return ended.json


def lines(text: str) -> Sequence[str]:
    return [line for line in text.splitlines() if line.strip()]
