"""The command line's root: global options, exit codes, errors in one line."""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
import logging
import re
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any, get_args

from cyclopts import App, CycloptsError, Group, Parameter, Token, convert

from prefect_experiments.cli import (
    backends,
    comparing,
    datasets,
    doctor,
    experiments,
    history,
    init,
    log,
    passing,
    pixie,
    power,
    running,
    store,
)
from prefect_experiments.cli.output import (
    BY_SIGNAL,
    DONE,
    UNFINISHED,
    WRONG_USE,
    Answer,
    Declined,
    Flag,
    Terminal,
    Unprinted,
    give,
    open_streams,
    own_stdout,
    printing,
    tell,
    write_json,
)
from prefect_experiments.cli.progress import quiet_prefect
from prefect_experiments.errors import (
    AlreadyExists,
    ExperimentsError,
    InvalidEntries,
    InvalidInput,
    NotFound,
    current_directory,
    traceback_text,
)
from prefect_experiments.interruptions import Terminated, raising_terminated
from prefect_experiments.secret_texts import without_secrets
from prefect_experiments.settings import NO_HOME

HELP = """Run evaluation experiments on AI applications as Prefect flows.

Everything is kept in a store: an SQLite file, or what --store-url or PREFECT_EXPERIMENTS_STORE_URL names. With
--backend, or PREFECT_EXPERIMENTS_BACKEND, it goes on from there to that backend, and what is there can be listed and
shown.

Exit codes: 0 done (and the gate passed), 1 the gate failed, or was inconclusive and is not set to pass then, 2 wrong
use, 3 the experiment could not be finished or its result not printed, or every call of the task or of the evaluators
failed.
"""
_CONTINUED = re.compile(r"\n {8,}")


def _flowing(text: str) -> str:
    """A text whose paragraphs are as wide as the terminal; what is indented, such as a command, stays as it is."""
    blocks = text.split("\n\n")
    return "\n\n".join(block if block.startswith(" ") else " ".join(block.split()) for block in blocks)


def _let_flow(parent: App) -> None:
    """Have the help of all commands flow, and that of their parameters."""
    for command in parent.subapps:
        function = command.default_command
        if inspect.isfunction(function) and function.__module__.startswith(__package__):
            words = inspect.cleandoc(function.__doc__ or "")
            about, args, rest = words.partition("\nArgs:\n")
            function.__doc__ = f"{about}{args}{_CONTINUED.sub(' ', rest)}"
            command.help = _flowing(about.partition("\nRaises:\n")[0].rstrip())
        _let_flow(command)


def _version() -> str:
    from importlib.metadata import version

    return version("prefect-experiments")


def _converted(kind: Any, tokens: Sequence[Token]) -> Any:
    """What was given for a parameter, as cyclopts reads it, which would make 2 of 2.5 for a whole number."""
    if int in (kind, *get_args(kind)):
        for token in tokens:
            if "." in token.value and not float(token.value).is_integer():
                raise ValueError(f"{token.value!r} is no whole number.")
    return convert(kind, tokens)


app = App(
    name="prefect-experiments",
    help=_flowing(HELP),
    help_format="plaintext",
    version=_version,
    default_parameter=Parameter(negative=(), converter=_converted),
    suppress_keyboard_interrupt=False,
)
running.register(app)
log.register(app)
comparing.register(app)
passing.register(app)
power.register(app)
experiments.register(app)
history.register(app)
backends.register(app)
pixie.register(datasets.app)
app.command(datasets.app)
app.command(store.app)
init.register(app)
doctor.register(app)
app.register_install_completion_command(help="Install completion for this shell.")
_let_flow(app)
app.meta.group_parameters = Group("Global options", sort_key=100)
app.meta.suppress_keyboard_interrupt = False
app.meta.help_flags = app.meta.version_flags = ()  # they are left to the root, inside `_launch`


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    store_url: str | None = None,
    backend: str | None = None,
    json: Flag = False,
    debug: Flag = False,
) -> int:
    """Run a command; its exit code.

    Args:
        tokens: the command and what it is given.
        store_url: the store, such as sqlite:///path/to/experiments.db or postgresql://user@host/name.
        backend: where experiments are kept: local, phoenix, arize, another one that `backends` lists, or a saved block
            such as phoenix-credentials/prod; by default what the settings say, else local.
        json: print one JSON document to stdout, and nothing else there; where nothing comes out, it is
            {"error": TEXT, "experiment_id": ID or null}.
        debug: show tracebacks, and all that Prefect logs.
    """
    command, bound, ignored = app.parse_args(tokens)
    if "terminal" not in ignored:  # help or version
        with printing(sys.stdout):
            command(*bound.args, **bound.kwargs)
        return DONE
    if not debug:
        quiet_prefect()
    with own_stdout() if json else contextlib.nullcontext(sys.stdout) as out:
        answer: Answer = command(*bound.args, **bound.kwargs, terminal=Terminal(store_url, debug, backend))
        give(answer, out, as_json=json)
    return answer.exit_code


def main() -> None:
    """The entry point: run the command of ``sys.argv`` and exit."""
    open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no output is lost for a terminal that lacks a letter
    with raising_terminated():
        code = run(sys.argv[1:])
    if code > BY_SIGNAL:  # all is said: a further one ends it at once, and threads still at work log no more
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        logging.disable()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Unprinted), printing(stream):
            pass  # but flush it
    sys.exit(code)


def run(tokens: Sequence[str]) -> int:
    """Run a command; gives the exit code, and never raises but what ends the process."""
    try:
        code = app.meta(
            _with_number(tokens, "--dry-run"), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        return _fail(error, WRONG_USE, f"{error} See --help.", tokens)
    except InvalidEntries as error:
        return _fail(error, WRONG_USE, str(error), tokens, lines=True)
    except (InvalidInput, NotFound, AlreadyExists, Declined) as error:
        return _fail(error, WRONG_USE, str(error), tokens)
    except KeyboardInterrupt as error:
        return _fail(error, BY_SIGNAL + signal.SIGINT, "interrupted", tokens)
    except Terminated as error:
        return _fail(error, BY_SIGNAL + error.number, f"ended by {error}", tokens)
    except ExperimentsError as error:
        return _fail(error, UNFINISHED, str(error), tokens)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said in a line
        text = _unexpected(error)
        return _fail(error, WRONG_USE if text == NO_HOME else UNFINISHED, text, tokens)
    return code if isinstance(code, int) else DONE


def _with_number(tokens: Sequence[str], option: str) -> list[str]:
    """The tokens with a 1 behind an option that may do without its number: Cyclopts knows no such options."""
    given: list[str] = []
    for token, following in itertools.zip_longest(tokens, tokens[1:], fillvalue=""):
        given.append(f"{option}=1" if token == option and not following.lstrip("-").isdecimal() else token)
    return given


def _fail(error: BaseException, code: int, text: str, tokens: Sequence[str], *, lines: bool = False) -> int:
    if _asked(tokens, "--debug"):
        tell(traceback_text(error))
    sentences = [text, *getattr(error, "__notes__", ())]
    line = " ".join(" ".join(sentence.split()).rstrip(".") + "." for sentence in sentences)
    said = without_secrets(text if lines else line.rstrip("."))  # what was typed may be in it, such as a store's URL
    tell(f"error: {said}")
    if _asked(tokens, "--json"):
        with contextlib.suppress(Unprinted), printing(sys.stdout):
            write_json({"error": said, "experiment_id": getattr(error, "experiment_id", "") or None}, sys.stdout)
    return code


def _asked(tokens: Sequence[str], flag: str) -> bool:
    """Whether a flag is given: what is wrong with the rest may have kept it from being read."""
    return any(re.fullmatch(rf"{flag}(=(true|t|yes|y|1))?", token, re.IGNORECASE) for token in tokens)


def _unexpected(error: Exception) -> str:
    if str(error).startswith("Failed to reach API") or type(error).__module__.partition(".")[0] == "httpx":
        return (
            f"Prefect's server does not answer ({error}). Is PREFECT_API_URL right, and is the server running? "
            "`prefect server start` starts one; without PREFECT_API_URL each run gets one of its own"
        )
    if "determine home directory" in str(error):  # what Prefect says
        return NO_HOME
    if isinstance(error, FileNotFoundError) and current_directory() is None:
        return "the current directory does not exist any more; go to one that does"
    return f"{type(error).__name__}: {error} (run with --debug for the traceback)"
