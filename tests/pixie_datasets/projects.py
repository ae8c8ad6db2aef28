"""pixie projects that tests write: an application, and the entries for it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prefect_experiments import Dataset, Example
from prefect_experiments.pixie.examples import Entry, Form, Named

RUN_APP = "pixie_qa/scripts/run_app.py"

# A log of what happens to it, and in which process; what it does is in `my_app`, which only the root leads to.
APP = """
from __future__ import annotations

import asyncio
import os
import pathlib

import pixie
from pydantic import BaseModel

LOG = pathlib.Path(__file__).with_name("log")


def note(what):
    with LOG.open("a") as log:
        log.write(f"{what} {os.getpid()}\\n")


class Args(BaseModel):
    message: str
    times: int = 1


class App(pixie.Runnable[Args]):
    @classmethod
    def create(cls) -> App:
        note("create")
        app = cls()
        app.turns = asyncio.Semaphore(1)
        return app

    async def setup(self) -> None:
        note("setup")

    async def run(self, args: Args) -> None:
        from my_app import answer

        async with self.turns:
            note(f"run:{args.message}")
            await answer(args.message * args.times)

    async def teardown(self) -> None:
        note("teardown")
"""

MY_APP = """
import asyncio
import pixie

async def answer(message):
    profile = pixie.wrap({"name": "live"}, purpose="input", name="profile")
    if message == "broken":
        raise RuntimeError("no answer today")
    if message == "hanging":
        await asyncio.Event().wait()
    await asyncio.sleep(0)
    pixie.wrap(f"{message} for {profile['name']}", purpose="output", name="reply")
"""


def write(root: Path, files: dict[str, str]) -> Path:
    """A folder with these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(text))
    return root


def project(root: Path, app: str = APP, **modules: str) -> Path:
    """A project with an application as pixie's own documentation lays it out, and modules in its root."""
    others = {f"{name}.py": text for name, text in (modules or {"my_app": MY_APP}).items()}
    return write(root, {RUN_APP: app, **others})


def task_of(root: Path, runnable: str = f"{RUN_APP}:App") -> str:
    """The reference by which a dataset names its application."""
    return f"prefect_experiments.pixie:application({runnable!r}, {str(root)!r})"


def entry(message: str, form: Form = "input_data", example_id: str = "", **eval_input: Any) -> Example:
    """An entry for `APP`, with what `wrap` is to give."""
    given = eval_input or {"profile": {"name": f"p-{message}"}}
    items = tuple(Named(name, value) for name, value in given.items())
    return Entry(form=form, arguments={"message": message}, eval_input=items).to_example(example_id or message)


def dataset(root: Path, examples: Iterable[Example], runnable: str = f"{RUN_APP}:App") -> Dataset:
    """Entries, with the application that they are for."""
    return Dataset(name="entries", examples=tuple(examples), task=task_of(root, runnable))


def log_of(root: Path) -> list[str]:
    """What has happened to `APP`, without the processes."""
    return [line.split()[0] for line in (root / RUN_APP).with_name("log").read_text().splitlines()]


def processes_of(root: Path) -> set[str]:
    """The processes that it happened in."""
    return {line.split()[1] for line in (root / RUN_APP).with_name("log").read_text().splitlines()}
