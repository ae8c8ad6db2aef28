"""Every error this package raises, as one tree.

    ExperimentsError
    ├── InvalidInput (also ValueError)      refused before anything is spent; trying again cannot help
    │   ├── InvalidDataset                  a file, a row, a key column
    │   │   └── InvalidEntries              all that is wrong with a file, a line each
    │   ├── InvalidReference                "package.module:name" that leads nowhere
    │   ├── InvalidTask                     parameters that cannot be bound
    │   ├── InvalidEvaluator                parameters, kind or options that cannot be used
    │   └── InvalidSetting                  repetitions=0, an unknown backend, ...
    ├── NotFound (also LookupError)         no dataset, version or experiment of that name or id
    │   └── AmbiguousName                   several of them: the candidates are listed
    ├── AlreadyExists                       a name that is in use
    ├── ExperimentStopped                   exit_on_error met a task error, or a lifespan failed; finished work is kept
    │   └── BudgetSpent                     what the experiment may cost is spent; finished work is kept
    ├── WorkCalledOff                           a worker's: the experiment has been stopped
    ├── StoreLost                           the store's file was deleted, replaced or cut short while in use
    ├── BackendRefused                      the backend took a request and said no to what it held
    └── TransientError                      trying again later may help
        ├── StoreUnavailable                the database does not answer or is locked
        ├── ExperimentInUse                 another process makes the experiment's calls
        ├── WorkersLost                     its workers end before they have done anything
        └── BackendUnavailable              the backend does not answer, is busy, or fails

Texts say what was wrong, where, the value seen, and what to do next. They never hold a
secret or the content of a dataset's row, because Prefect shows them in states and logs.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from prefect_experiments.secret_texts import without_secret_values, without_secrets
from prefect_experiments.texts import ELLIPSIS, shortened

# What each extra of the package brings.
_EXTRAS = {
    "cost": "genai-prices",
    "dask": "prefect-dask",
    "parquet": "pyarrow",
    "pixie": "pixie-qa",
    "postgres": "psycopg",
    "pytest": "pytest",
    "ray": "prefect-ray",
    "xlsx": "openpyxl",
}

# Of what an error's text tells of others: how many below one another, how many of a group, and how much of each.
_DEEPEST = 3
_MOST_OF_A_GROUP, _LOOKED_AT = 5, 50
_LONGEST_PART = 500


class ExperimentsError(Exception):
    """Base of all errors of this package."""


class InvalidInput(ExperimentsError, ValueError):
    """What was given cannot be used; nothing has been spent."""


class InvalidDataset(InvalidInput):
    """A file, a row or a key column that does not make a dataset."""


class InvalidEntries(InvalidDataset):
    """All that is wrong with a file, in a text of several lines: a heading, and a line for each problem."""


class InvalidReference(InvalidInput):
    """A reference such as ``package.module:name`` that does not lead to an object."""


class InvalidTask(InvalidInput):
    """A task whose parameters cannot be bound to an example's fields."""


class InvalidEvaluator(InvalidInput):
    """An evaluator that cannot be used: its parameters, its kind or its options."""


class InvalidSetting(InvalidInput):
    """A setting or parameter out of its range.

    Attributes:
        is_of_connection: whether the backend cannot be used so, whatever is asked of it: by its address,
            the key, its version.
    """

    is_of_connection = False


def unusable_connection(text: str) -> InvalidSetting:
    """The error where a backend cannot be used as it is set."""
    error = InvalidSetting(text)
    error.is_of_connection = True
    return error


class NotFound(ExperimentsError, LookupError):
    """Nothing of that name or id is kept here."""


class AmbiguousName(NotFound):
    """A name that several things have; the text lists them by id."""


class AlreadyExists(ExperimentsError):
    """A name, or an idempotency key, that is already in use.

    Attributes:
        experiment_id: the experiment that has it, where it is one's.
    """

    def __init__(self, message: str, *, experiment_id: str = "") -> None:
        super().__init__(message)
        self.experiment_id = experiment_id

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_existing, (str(self), self.experiment_id))


def _rebuild_existing(message: str, experiment_id: str) -> AlreadyExists:
    return AlreadyExists(message, experiment_id=experiment_id)


class ExperimentStopped(ExperimentsError):
    """``exit_on_error=True`` met a task error, a task's ``lifespan`` failed, or a budget is spent.

    Everything finished until then is in the store.

    Its text names the error's type only, because Prefect shows it. What `with_text` gives is for whoever made the call.

    Attributes:
        experiment_id: what to give to ``resume_experiment``.
        error: type and text of the task's error, as the run keeps it.
        advice: how to go on, at the end of the text.
    """

    def __init__(self, message: str, *, experiment_id: str = "", error: str = "", advice: str = "") -> None:
        super().__init__(f"{message}. {advice}" if advice else message)
        self._message = message
        self.experiment_id = experiment_id
        self.error = error
        self.advice = advice

    def with_text(self, text: str) -> ExperimentStopped:
        """The same, saying more: the error's text, as far as it is to be shown."""
        return _rebuild_stopped(type(self), f"{self._message}: {text}", self.experiment_id, self.error, self.advice)

    def with_advice(self, experiment_id: str, advice: str) -> ExperimentStopped:
        """The same, saying how to go on with the experiment."""
        return _rebuild_stopped(type(self), self._message, experiment_id, self.error, advice)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_stopped, (type(self), self._message, self.experiment_id, self.error, self.advice))


class BudgetSpent(ExperimentStopped):
    """What the experiment may cost is spent, or cannot be known. Everything that had begun has finished, and is kept.

    `resume_experiment` with a bigger budget goes on.
    """


def _rebuild_stopped(
    kind: type[ExperimentStopped], message: str, experiment_id: str, error: str, advice: str
) -> ExperimentStopped:
    return kind(message, experiment_id=experiment_id, error=error, advice=advice)


class WorkCalledOff(ExperimentsError):
    """A worker stopped, because the experiment has: its own process says why."""


class BackendRefused(ExperimentsError):
    """A backend took a request and said no to what it held; the same request will not do better."""


class StoreLost(ExperimentsError):
    """The file of the store was deleted, replaced or cut short while it was in use; trying again cannot help.

    Attributes:
        saved_in: the file that what had been kept until then was saved to, if that was possible.
    """

    def __init__(self, message: str, *, saved_in: Path | None = None) -> None:
        super().__init__(message)
        self.saved_in = saved_in


class TransientError(ExperimentsError):
    """Something around the experiment that may work when tried again."""


class WorkersLost(TransientError):
    """The workers of an experiment ended again and again before they had done anything.

    What had finished is kept; the text says what is known of how they ended.
    """


class StoreUnavailable(TransientError):
    """The store's database does not answer, or stayed locked for too long.

    Attributes:
        reason: what its driver said.
        is_busy: whether others only held it up.
    """

    def __init__(self, message: str, *, reason: str = "", is_busy: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_busy = is_busy


class ExperimentInUse(TransientError):
    """Another process makes the calls of this experiment, or has taken it over: this one makes none.

    Attributes:
        experiment_id: the experiment.
    """

    def __init__(self, message: str, *, experiment_id: str = "") -> None:
        super().__init__(message)
        self.experiment_id = experiment_id


class BackendUnavailable(TransientError):
    """A backend does not answer, is busy, or fails.

    Attributes:
        retry_after: seconds that it asked to be left alone, where it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def unknown_value(what: str, value: object, known: list[str]) -> str:
    """The text for a value that is not one of the known ones, with the nearest of them first.

    >>> unknown_value("backend", "locl", ["local", "phoenix"])
    "unknown backend 'locl'; did you mean 'local'? Known: local, phoenix"
    """
    from difflib import get_close_matches

    near = get_close_matches(str(value), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown {what} {value!r}{hint} Known: {', '.join(known) or 'none'}"


def describe(error: BaseException) -> str:
    """An exception's type and text, as results keep it, with its notes, its explicit cause and its sub-exceptions.

    What the environment keeps secret, which a server's answer may repeat, is not in it.

    >>> describe(ExceptionGroup("both", [ValueError("a"), KeyError("b")]))
    "ExceptionGroup: both (2 sub-exceptions): ValueError: a; KeyError: 'b'"
    """
    return without_secret_values(_described(error, ()))


def traceback_text(error: BaseException) -> str:
    """An exception with its traceback, as it is shown or logged: without what is secret, which its text may repeat."""
    return without_secrets("".join(traceback.format_exception(error))).rstrip()


def _described(error: BaseException, above: tuple[BaseException, ...]) -> str:
    chain = (*above, error)
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - a __str__ may raise anything
        text = ""
    remarks = list(getattr(error, "__notes__", ()))
    deep = len(above) == _DEEPEST
    cause = error.__cause__
    # What is no `Exception`, such as a cancellation from which asyncio makes a TimeoutError, says nothing of the cause.
    if isinstance(cause, Exception) and not deep and not any(cause is other for other in chain):
        remarks.append(f"caused by {_part(cause, chain)}")
    told = f"{text}{''.join(f' ({remark})' for remark in remarks)}".lstrip(" " if not text else "")
    members = "" if deep or not isinstance(error, BaseExceptionGroup) else _members(error, chain)
    return ": ".join(filter(None, (type(error).__name__, told, members)))


def _members(group: BaseExceptionGroup[BaseException], chain: tuple[BaseException, ...]) -> str:
    """The errors of a group, those that say the same once; a group among them in brackets."""
    looked_at = group.exceptions[:_LOOKED_AT]
    texts = list(dict.fromkeys(_part(member, chain) for member in looked_at))
    more = len(texts) > _MOST_OF_A_GROUP or len(group.exceptions) > _LOOKED_AT
    return "; ".join([*texts[:_MOST_OF_A_GROUP], *([ELLIPSIS] if more else [])])


def _part(error: BaseException, chain: tuple[BaseException, ...]) -> str:
    text = without_secret_values(_described(error, chain))  # before one is cut in two
    text = shortened(text, _LONGEST_PART)
    return f"[{text}]" if isinstance(error, BaseExceptionGroup) else text


def current_directory() -> Path | None:
    """The current directory, ``None`` where it has been deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None


def from_here() -> str:
    """What relative paths begin at, for a text about a path."""
    here = current_directory()
    return "(the current directory does not exist any more)" if here is None else f"(current directory: {here})"


def nearest_file(path: str | Path) -> str:
    """Of a file that is not there, such as ``; did you mean 'app.py'?``; empty where none beside it is called alike."""
    wanted = Path(path)
    try:
        names = [file.name for file in wanted.parent.iterdir() if file.suffix == wanted.suffix]
    except (OSError, ValueError):
        return ""
    from difflib import get_close_matches

    near = get_close_matches(wanted.name, names, n=1)
    return f"; did you mean {str(wanted.with_name(near[0]))!r}?" if near else ""


@contextmanager
def needs_extra(
    extra: Literal["dask", "parquet", "pixie", "postgres", "ray", "xlsx"],
    what: str,
    *,
    instead: str = "",
    error: type[InvalidInput] = InvalidSetting,
) -> Iterator[None]:
    """What is imported inside comes with an extra of this package.

    Args:
        extra: its name.
        what: what needs it, for the message.
        instead: what can be done without it, for the message.
        error: what to raise instead of `InvalidSetting`.

    Raises:
        InvalidSetting: it is not installed; the text has the command to type.
    """
    try:
        yield
    except ImportError:
        command = f"pip install 'prefect-experiments[{extra}]'"
        raise error(f"{what} needs {_EXTRAS[extra]}: {command}{instead and f', or {instead}'}") from None
