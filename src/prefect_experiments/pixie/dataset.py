"""A pixie file as a dataset that brings its task and its entries' evaluators."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from prefect_experiments import keys
from prefect_experiments.errors import InvalidInput
from prefect_experiments.evaluators import resolve_evaluators
from prefect_experiments.models import Dataset
from prefect_experiments.pixie.examples import Entry, Form, as_items
from prefect_experiments.pixie.project import Project, is_of_file
from prefect_experiments.pixie.reading import read_pixie
from prefect_experiments.tasks import resolve_task

_HERE = "prefect_experiments.pixie"
_ROOT = (
    "References are taken from {}. If the project is another folder, name it: --root FOLDER, or "
    "load_pixie(path, root=FOLDER)"
)
_LONGEST_SLUG = 48
_NO_WORD = re.compile(r"[^a-z0-9]+")


def load_pixie(
    path: str | Path,
    root: str | Path | None = None,
    form: Form | None = None,
    *,
    task: bool = True,
    evaluators: bool = True,
) -> Dataset:
    """The dataset in a pixie file. Nothing that it names is called, but it is looked up, so that it is known to work.

    Args:
        path: of the file.
        root: the folder that the file's references are taken from; by default the one that its ``pixie_qa`` stands in,
            see `Project.of`.
        form: judge its entries as those with ``input_data`` or with ``entry_kwargs``, whatever they say: it decides
            whether evaluators see what the application is called with.
        task: whether the file's own application is needed.
        evaluators: whether its own evaluators are needed.

    Raises:
        InvalidEntries: something is wrong with the file or with what it names; the text has all of it.
        InvalidDataset: it is no JSON object.
    """
    file = read_pixie(path, form)
    project = Project.of(path, root)
    problems: list[str] = []
    reference = application_reference(file.runnable, project)
    if task and file.runnable:
        problems += _found("'runnable': ", functools.partial(resolve_task, reference))
    named = _Evaluators(file.named, project)
    if evaluators:
        problems += named.look_up()
    sought = [*([file.runnable] if task else ()), *(file.named if evaluators else ())]
    of_files = [reference for reference in sought if is_of_file(reference)]
    # Where some are there, a path is wrong, and not the folder.
    is_elsewhere = root is None and bool(of_files) and all(map(project.lacks_file_of, of_files))
    file.check(problems, _ROOT.format(project.root) if is_elsewhere else "")
    used = dict.fromkeys(name for one in file.entries for name in one.evaluators)
    ids = entry_ids(one.entry for one in file.entries)
    examples = tuple(one.entry.to_example(name) for one, name in zip(file.entries, ids, strict=True))
    if not evaluators:
        return Dataset(name=file.name, examples=examples, task=reference)
    only = {
        example_id: tuple(named.names[name] for name in one.evaluators)
        for one, example_id in zip(file.entries, ids, strict=True)
        if set(one.evaluators) != used.keys()
    }
    return Dataset(
        name=file.name,
        examples=examples,
        task=reference,
        evaluators=tuple(named.references[name] for name in used),
        only_evaluators=only,
    )


def application_reference(runnable: str, project: Project) -> str:
    """The reference to the task that a file's application is."""
    return f"{_HERE}:application({runnable!r}, {str(project.root)!r})"


class _Evaluators:
    """The evaluators that a file names, with what they are called in the experiment.

    Args:
        named: with where the file does so.
        project: the file's.
    """

    def __init__(self, named: Mapping[str, str], project: Project) -> None:
        self._named = named
        self._project = project
        self.references = {name: self._reference(name) for name in named}
        self.names: dict[str, str] = {}

    def _reference(self, name: str, *more: str) -> str:
        return f"{_HERE}:evaluator({', '.join(map(repr, (name, str(self._project.root), *more)))})"

    def look_up(self) -> list[str]:
        """Find them all, and give those whose names are the same longer ones; the problems, a sentence each."""
        problems = []
        for name, where in self._named.items():
            problems += _found(where, functools.partial(self._bind, name))
        same = {name for name, n in Counter(self.names.values()).items() if n > 1}
        for name, called in list(self.names.items()):
            if called in same and ":" in name:  # two files' evaluators of one name
                self.references[name] = self._reference(name, name)
                self._bind(name)
        return problems

    def _bind(self, name: str) -> None:
        [bound] = resolve_evaluators(self.references[name])
        self.names[name] = bound.name


def _found(where: str, look_up: Callable[[], object]) -> list[str]:
    """What keeps something from being found, as a list: empty, or with one sentence."""
    try:
        look_up()
    except InvalidInput as error:
        return [f"{where}{error}"]
    return []


def entry_ids(entries: Iterable[Entry]) -> list[str]:
    """An id for each entry, which says what it is about and stays the same while what it gives to the application does.

    >>> entry_ids([Entry(arguments={"q": 1}, description="Refund, asked twice!")])
    ['refund-asked-twice-9b4c8dbd']
    """
    found: list[str] = []
    seen: Counter[str] = Counter()
    for entry in entries:
        base = "-".join(filter(None, (_slug(entry.description or ""), input_fingerprint(entry)[:8])))
        seen[base] += 1
        found.append(base if seen[base] == 1 else f"{base}-{seen[base]}")
    return found


def input_fingerprint(entry: Entry) -> str:
    """The same for entries that give the same to the application."""
    return keys.fingerprint(dict(entry.arguments), as_items(entry.eval_input))


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return _NO_WORD.sub("-", plain)[:_LONGEST_SLUG].strip("-")
