"""What commands say: one answer each, as a JSON document or for people; everything else goes to stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

from cyclopts import Parameter

from prefect_experiments.errors import ExperimentsError, InvalidInput
from prefect_experiments.files import is_stream
from prefect_experiments.texts import shortened

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from prefect_experiments.analysis import Summary
    from prefect_experiments.client import Client
    from prefect_experiments.pages import Pagination

DONE, WRONG_USE, UNFINISHED = 0, 2, 3
BY_SIGNAL = 128  # and the number of the signal, as shells have it

_PIPE_WIDTH = 1000
_WIDE = 110
_LONGEST_CELL = 60
_WHOLE = ("id", "run", "created")  # an id is there to be copied
_LONGEST_FIELD = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command has to say.

    Attributes:
        data: for ``--json``. An iterator in a mapping is a list that is made while it is written; a function gives the
            data where they are wanted.
        show: prints it for people.
        exit_code: 0, or what a gate says.
        experiment_id: of the experiment that was run for it.
    """

    data: Any
    show: Callable[[Console], None]
    exit_code: int = 0
    experiment_id: str = ""


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the global options say, and the person in front of it."""

    store_url: str | None = None
    debug: bool = False
    backend: str | None = None

    def client(self) -> Client:
        """The client on the store and the backend that were asked for."""
        from prefect_experiments.client import Client

        return Client(backend=self.backend, store_url=self.store_url)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask a person, unless ``--yes`` has answered already.

        Raises:
            InvalidInput: there is nobody to ask.
            Declined: the person said no.
        """
        if yes:
            return
        if not sys.stdin.isatty():
            raise InvalidInput(f"{question} Say so with --yes: there is no terminal to ask on")
        tell(f"{question} [y/N] ", end="")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Declined("nothing was deleted")


Here = Annotated[Terminal, Parameter(parse=False)]
Flag = Annotated[bool, Parameter(show_default=False)]


class Declined(ExperimentsError):
    """The person said no."""


class Unprinted(ExperimentsError):
    """What came out could not be written to stdout."""


def tell(text: str, *, end: str = "\n") -> None:
    """Say something beside the answer, on stderr. Where that cannot be written, nobody is to be told."""
    with contextlib.suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)  # noqa: T201


def about(error: BaseException, experiment_id: str, note: str) -> None:
    """Have an error tell which experiment it is about, and how to go on with it."""
    error.add_note(note)
    error.experiment_id = experiment_id  # type: ignore[attr-defined]


def said(data: Any, text: str) -> Answer:
    """An answer of one line."""

    def show(console: Console) -> None:
        console.print(plain(text))

    return Answer(data, show)


def wrote(data: Any, path: Path, what: str = "") -> Answer:
    """An answer on a file that was written. What went to a pipe or a device may be on stdout, and is alone there."""
    text = f"wrote {what}{path}"
    return Answer(data, lambda _: tell(text)) if is_stream(path) else said(data, text)


def plain(text: str) -> Any:
    """A text that is printed as it is: no markup, no control characters."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() else " " for c in text))


def print_page(
    console: Console,
    rows: Sequence[Mapping[str, Any]],
    pagination: Pagination,
    *,
    none: str,
    where_wide: Collection[str] = (),
) -> None:
    """Print a page of a list, and how to see the next one.

    Args:
        console: where to.
        rows: the columns of each row by name, the same for all.
        pagination: of the page.
        none: what to say when there are no rows.
        where_wide: columns that a narrow terminal has no room for.
    """
    if not rows:
        console.print(plain(none))
        return
    if console.width < _WIDE:
        rows = [{name: value for name, value in row.items() if name not in where_wide} for row in rows]
    console.print(table(rows))
    if pagination.has_more:
        tell(f"there is more: --cursor {pagination.next_cursor}")


def print_fields(console: Console, title: str, fields: Mapping[str, Any]) -> None:
    """Print names and values, one a line, under a title."""
    console.print(plain(title), style="bold")
    for name, value in fields.items():
        console.print(plain(f"  {name:<12} {cell(value, longest=_LONGEST_FIELD)}"))


def table(rows: Sequence[Mapping[str, Any]], *, longest: int = _LONGEST_CELL) -> Table:
    """A table of texts that are cut to a length, without lines between them.

    Args:
        rows: at least one; the columns of each by name, the same for all.
        longest: of a cell, in characters.
    """
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        made.add_column(plain(name), overflow="fold", no_wrap=name in _WHOLE)
    for row in rows:
        made.add_row(*(plain(cell(value, longest=longest)) for value in row.values()))
    return made


def score_table(summary: Summary) -> Table | str:
    """The scores of an experiment, each with its denominator."""
    rows = [
        {"evaluator": name, "score": str(metric), "standard error": metric.stderr}
        for name, metric in summary.metrics.items()
    ]
    return table(rows, longest=_LONGEST_FIELD) if rows else "not evaluated"


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as mappings, with ``None`` for what is not there."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    return cast("list[dict[str, Any]]", rows)


def cell(value: Any, *, longest: int = _LONGEST_CELL) -> str:
    """A value as a short text in one line."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        from prefect_experiments.analysis import numbers

        return numbers.plain(value)
    if not isinstance(value, str):
        from prefect_experiments.jsonable import dumps_lenient

        value = dumps_lenient(value)[0]
    return shortened(" ".join(value.split()), longest)


def give(answer: Answer, out: TextIO, *, as_json: bool) -> None:
    """Write the answer.

    Raises:
        Unprinted: it cannot be written.
    """
    with printing(out, answer.experiment_id):
        if as_json:
            write_json(answer.data() if callable(answer.data) else answer.data, out)
        else:
            answer.show(_console(out))


@contextlib.contextmanager
def printing(out: TextIO, experiment_id: str = "") -> Iterator[None]:
    """While something is printed. A reader that has seen enough, such as ``head``, is no error.

    Args:
        out: where to.
        experiment_id: of the experiment that was run for it.

    Raises:
        Unprinted: it cannot be written: the disk is full, say.
    """
    try:
        yield
        out.flush()
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):  # from which rich makes an exit code of 1, a gate's
            raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # Python would try again when it ends
        if not isinstance(error, BrokenPipeError):
            done = f"; experiment {experiment_id} is complete" if experiment_id else ""
            raise Unprinted(f"the result could not be printed ({error.strerror or error}){done}") from error


def write_json(data: Any, out: TextIO) -> None:
    """Write one document, over several lines for a person."""
    import json

    from prefect_experiments.jsonable import dumps_lenient

    if isinstance(data, Mapping) and any(isinstance(value, Iterator) for value in data.values()):
        out.writelines(_pieces(data))
        return
    text = dumps_lenient(data)[0]
    out.write((json.dumps(json.loads(text), indent=2, ensure_ascii=False) if out.isatty() else text) + "\n")


def _pieces(data: Mapping[str, Any]) -> Iterator[str]:
    """A document with lists that are made while it is written, an item a line."""
    from prefect_experiments.jsonable import dumps_lenient

    before = "{"
    for name, value in data.items():
        yield f"{before}{dumps_lenient(name)[0]}:"
        before = ","
        if isinstance(value, Iterator):
            yield "["
            for number, item in enumerate(value):
                yield f"{',' if number else ''}\n{dumps_lenient(item)[0]}"
            yield "]"
        else:
            yield dumps_lenient(value)[0]
    yield "}\n"


def _console(out: TextIO) -> Console:
    """Tables are never cut to 80 columns for a file or another program."""
    from rich.console import Console

    return Console(file=out, width=None if out.isatty() else _PIPE_WIDTH, highlight=False, emoji=False)


def open_streams() -> None:
    """Put nothing in the place of a standard stream that was closed (``>&-``).

    Python has ``None`` there, and the next file to be opened, such as the store, would get the stream's number, and
    with it what other processes print.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: the stream's
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


@contextlib.contextmanager
def own_stdout() -> Iterator[TextIO]:
    """The standard output, for one JSON document: what anything else prints meanwhile goes to stderr.

    That is done with the file descriptor, so that it holds for the user's task, for libraries and
    for the processes they start.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with open(kept, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as out:
            yield out
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
