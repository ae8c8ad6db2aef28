"""What will mislead in a pixie file that can be run: it is legal, and its scores say less than they seem to."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from prefect_experiments import keys
from prefect_experiments.display import some
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.pixie.dataset import input_fingerprint
from prefect_experiments.pixie.examples import ABSENT, EVAL_OUTPUT, FORMS, as_items, from_items
from prefect_experiments.pixie.file import ENTRY_KEYS, TOP_KEYS, FileEntry, PixieFile, place
from prefect_experiments.pixie.names import NEED_CONTEXT, NEED_CRITERIA, NEED_EXPECTATION
from prefect_experiments.pixie.project import Project
from prefect_experiments.pixie.reading import kind
from prefect_experiments.pixie.scorers import is_pixies
from prefect_experiments.pixie.trace import read_trace

FEW: Final = 5
"""Fewer entries than these say little about an application."""
_ALIKE = 90  # of 100: from there on inputs are nearly the same
_LONGEST_COMPARED = 2000
_MOST_NUMBERS = 10
_TRIVIAL: Final[tuple[Any, ...]] = (None, "", [], {}, True, False)  # what an application may well give by chance
# What evaluators take the expectation for, of those that fail where it is something else.
_TAKES: Final[Mapping[str, tuple[str, type | tuple[type, ...]]]] = {
    "ListContains": ("a list of texts", (list, str)),
    "NumericDiff": ("a number", (int, float)),
    "ValidJSON": ("a JSON Schema", (dict, bool)),
}


@dataclass(frozen=True, slots=True)
class Remark:
    """Something in a file that will mislead.

    Attributes:
        rule: what sort of thing it is, for programs.
        text: what will mislead, and what to do.
        entry: the number of the entry, from 1; ``None`` where it is about the file.
        description: the entry's.
    """

    rule: str
    text: str
    entry: int | None = None
    description: str | None = None

    def __str__(self) -> str:
        where = "" if self.entry is None else f"{place(self.entry, self.description)}: "
        return f"{where}{self.text} [{self.rule}]"

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def lint(file: PixieFile, deferring: Collection[str] = ()) -> list[Remark]:
    """What will mislead, of each entry in the file's order, and then of the file as a whole.

    Args:
        file: a file that can be used (`PixieFile.check`).
        deferring: those of its evaluators that leave the judgement to somebody; see `deferring_evaluators`.
    """
    recorded = _recorded(file.path)
    remarks = [remark for entry in file.entries for rule in _OF_AN_ENTRY for remark in rule(entry)]
    remarks += [remark for entry in file.entries for remark in _copied_output(entry, recorded)]
    remarks += _doubles(file.entries)
    remarks += [remark for entry in file.entries for remark in _nobody_scores(entry, deferring)]
    remarks.sort(key=lambda remark: remark.entry or 0)
    return [*remarks, *_coverage(file), *_unknown_keys(file)]


def deferring_evaluators(file: PixieFile, project: Project) -> frozenset[str]:
    """Those of a file's evaluators that score nothing, and leave that to a person or an agent."""
    own = (name for name in file.named if ":" in name)
    return frozenset(name for name in own if is_pixies(project.load(name), "_AgentEvaluator"))


def _about(entry: FileEntry, rule: str, text: str) -> Remark:
    return Remark(rule, text, entry.number, entry.entry.description)


def _has_expectation(entry: FileEntry) -> bool:
    return entry.entry.expectation not in (ABSENT, None)


def _no_expectation(entry: FileEntry) -> Iterator[Remark]:
    known = entry.entry.eval_metadata or {}
    comparing = [name for name in entry.evaluators if name in NEED_EXPECTATION]
    if comparing and not _has_expectation(entry) and known.get("expected") is None:
        yield _about(
            entry,
            "no-expectation",
            f"{_and(comparing)} {_s('compares', comparing)} with an expectation, and there is none: the score says "
            "nothing about the answer. Add 'expectation', or leave the evaluator out of this entry",
        )


def _of_another_kind(entry: FileEntry) -> Iterator[Remark]:
    expected = entry.entry.expectation
    for name in entry.evaluators if _has_expectation(entry) else ():
        wanted, kinds = _TAKES.get(name, ("", object))
        if not isinstance(expected, kinds) or (name == "NumericDiff" and isinstance(expected, bool)):
            yield _about(
                entry,
                "unusable-expectation",
                f"{name} takes the expectation for {wanted}, and it is {kind(expected)}: that is an error in every "
                "run. Change the expectation, or leave the evaluator out of this entry",
            )


def _no_criteria(entry: FileEntry) -> Iterator[Remark]:
    asking = [name for name in entry.evaluators if name in NEED_CRITERIA]
    about = entry.entry.eval_metadata or {}
    criteria = about.get("criteria")
    if not asking or (isinstance(criteria, str) and criteria.strip()):
        return
    told = f"{_and(asking)} judges by a criterion, 'criteria' in the entry's 'eval_metadata'"
    if meant := difflib.get_close_matches("criteria", about, n=1):
        yield _about(entry, "no-criteria", f"{told}, and there is {meant[0]!r:.60}, which is not read. Rename it")
    elif not _has_expectation(entry):
        yield _about(entry, "no-criteria", f"{told}, and there is none: the judge is asked nothing. Add one")


def _no_context(entry: FileEntry) -> Iterator[Remark]:
    asking = [name for name in entry.evaluators if name in NEED_CONTEXT]
    if asking and not (entry.entry.eval_metadata or {}).get("context"):
        yield _about(
            entry,
            "no-context",
            f"{_and(asking)} {_s('judges', asking)} the answer by what was retrieved for it, 'context' in the entry's "
            "'eval_metadata', and there is none. Add it, or leave the evaluator out of this entry",
        )


def _no_language(entry: FileEntry) -> Iterator[Remark]:
    if "Translation" in entry.evaluators:
        yield _about(
            entry,
            "no-language",
            "Translation asks from which language into English was translated, and by its name alone pixie gives it "
            "none. Make one that has it in a file of the project: def translation(): return "
            "pixie.Translation(language=...)",
        )


def _doubled_names(entry: FileEntry) -> Iterator[Remark]:
    names = [item.name for item in entry.entry.eval_input]
    doubled = [name for name, n in Counter(names).items() if n > 1]
    if doubled:
        yield _about(
            entry,
            "doubled-input",
            f"'eval_input' has several values called {_and(doubled)}: the application gets the last, and evaluators "
            "see all. Leave one of them",
        )


def _shadowed_arguments(entry: FileEntry) -> Iterator[Remark]:
    names = [item.name for item in entry.entry.eval_input]
    if entry.entry.form == "input_data" and "input_data" in names:
        yield _about(
            entry,
            "doubled-input",
            "'eval_input' has a value called input_data, as what the application is called with is for evaluators: "
            "they see it in its place. Give it another name",
        )


def _echoed(entry: FileEntry) -> Iterator[Remark]:
    expected = entry.entry.expectation
    if expected in (ABSENT, *_TRIVIAL):
        return
    given = [*entry.entry.arguments.values(), *(item.value for item in entry.entry.eval_input)]
    key = keys.canonical_json(expected)
    if any(keys.canonical_json(value) == key for value in given):
        yield _about(
            entry,
            "echoed-input",
            "the expectation is a value that the application is given: one that repeats what it gets passes. Write "
            "what a right answer must say",
        )


def _pickled(entry: FileEntry) -> Iterator[Remark]:
    given = [entry.entry.arguments, *(item.value for item in entry.entry.eval_input)]
    if marks := sorted(set(_marks(given))):
        yield _about(
            entry,
            "pickled-input",
            f"the input has {_and([repr(mark) for mark in marks])}, which pixie makes an object of; nothing of a "
            "dataset is decoded here, and the application gets the object as it is written. Write plain JSON",
        )


def _marks(value: Any) -> Iterator[str]:
    """The keys of jsonpickle's in a value."""
    if isinstance(value, Mapping):
        yield from (key for key in value if key.startswith("py/"))
        value = list(value.values())
    for one in value if isinstance(value, list) else ():
        yield from _marks(one)


def _both_forms(entry: FileEntry) -> Iterator[Remark]:
    if all(form in entry.keys for form in FORMS):
        yield _about(
            entry,
            "both-forms",
            "'input_data' and 'entry_kwargs' are the same under two names; it is read as 'input_data', which "
            "evaluators see. Leave one of them",
        )


_OF_AN_ENTRY: Final[tuple[Callable[[FileEntry], Iterator[Remark]], ...]] = (
    _no_expectation,
    _of_another_kind,
    _no_criteria,
    _no_context,
    _no_language,
    _doubled_names,
    _shadowed_arguments,
    _echoed,
    _pickled,
    _both_forms,
)


def _recorded(path: Path) -> dict[bytes, str]:
    """What applications really gave, by its canonical JSON, and in which trace: those beside the file and above it."""
    found: dict[bytes, str] = {}
    folders = [path.absolute().parent, path.absolute().parent.parent]
    for trace in (one for folder in folders for one in sorted(folder.glob("*trace*.jsonl"))):
        try:
            outputs = read_trace(trace).outputs
        except InvalidDataset:  # of something else
            continue
        found |= dict.fromkeys(_forms_of(outputs), trace.name)
    return found


def _forms_of(outputs: Any) -> set[bytes]:
    """What somebody may have copied of captured outputs: all of it, or one value."""
    items = outputs if isinstance(outputs, tuple) else from_items(outputs)
    whole = [as_items(items), {item.name: item.value for item in items}] if items else [outputs]
    values = [value for value in (*whole, *(item.value for item in items)) if value not in _TRIVIAL]
    return {keys.canonical_json(value) for value in values}


def _copied_output(entry: FileEntry, recorded: dict[bytes, str]) -> Iterator[Remark]:
    expected = entry.entry.expectation
    if expected in (ABSENT, *_TRIVIAL):
        return
    key = keys.canonical_json(expected)
    own = entry.eval_output is not ABSENT and key in _forms_of(entry.eval_output)
    if own or key in recorded:
        source = f"'{EVAL_OUTPUT}'" if own else recorded[key]
        yield _about(
            entry,
            "copied-output",
            f"the expectation is what the application itself gave once ({source}): it is compared with itself, and "
            "mistakes of that run are expected. Write what a right answer must say",
        )


def _doubles(entries: Sequence[FileEntry]) -> Iterator[Remark]:
    seen: dict[str, FileEntry] = {}
    for entry in entries:
        first = seen.setdefault(input_fingerprint(entry.entry), entry)
        if first is not entry:
            yield _about(
                entry,
                "doubled-entry",
                f"it gives the application the same as {first.place}: one answer counts twice. Change one of them, or "
                "leave it out; to see how answers vary, run with repetitions",
            )


def _nobody_scores(entry: FileEntry, deferring: Collection[str]) -> Iterator[Remark]:
    if all(name in deferring for name in entry.evaluators):
        yield _about(
            entry,
            "pending-only",
            f"{_and(entry.evaluators)} {_s('waits', entry.evaluators)} for somebody to judge, and nothing else scores "
            "the entry: it neither passes nor fails until that is filled in. Add an evaluator that scores",
        )


def _coverage(file: PixieFile) -> Iterator[Remark]:
    entries = file.entries
    if len(entries) < FEW:
        yield Remark("few-entries", f"{len(entries)} {_ies(entries)}: a mean over so few says little. Add more cases")
    if len({name for entry in entries for name in entry.evaluators}) == 1:
        yield Remark(
            "one-evaluator",
            f"{entries[0].evaluators[0]} alone judges every entry. Add an evaluator for what else matters",
        )
    if len(entries) < 2:
        return
    expected = {keys.canonical_json(entry.entry.expectation) for entry in entries if _has_expectation(entry)}
    if len(expected) == 1 and all(map(_has_expectation, entries)):
        yield Remark(
            "same-expectation",
            "all entries expect the same: an application that always answers so passes. Add cases that expect "
            "something else",
        )
    if _all_alike(entries):
        yield Remark(
            "alike-inputs",
            "the inputs of all entries are nearly the same. Add other situations: an edge case, one where the right "
            "answer is a refusal",
        )


def _all_alike(entries: Sequence[FileEntry]) -> bool:
    """Whether what differs between the entries' inputs differs by little."""
    from rapidfuzz.fuzz import ratio

    leaves = [dict(_leaves([dict(e.entry.arguments), *e.entry.eval_input])) for e in entries]
    same = set(leaves[0].items()).intersection(*(one.items() for one in leaves[1:]))
    first, *others = (
        "\n".join(text for item in one.items() if item not in same for text in item[1:]) for one in leaves
    )
    return all(other and ratio(first[:_LONGEST_COMPARED], other[:_LONGEST_COMPARED]) >= _ALIKE for other in others)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every single value in a JSON value as text, by its place."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _leaves(one, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from _leaves(one, f"{path}.{number}")
    else:
        yield path, str(value)


def _unknown_keys(file: PixieFile) -> Iterator[Remark]:
    for key in (key for key in file.keys if key not in TOP_KEYS):
        yield Remark("unknown-key", f"{key!r:.60} at the top of the file is not read{_meant(key, TOP_KEYS)}")
    where: dict[str, list[int]] = defaultdict(list)
    for entry in file.entries:
        for key in entry.keys:
            if key not in ENTRY_KEYS:
                where[key].append(entry.number)
    for key, numbers in where.items():
        which = some(numbers, _MOST_NUMBERS)
        entries = "entry" if len(numbers) == 1 else "entries"
        yield Remark("unknown-key", f"{key!r:.60} in {entries} {which} is not read{_meant(key, ENTRY_KEYS)}")


def _meant(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ". Take it out, or put it into 'eval_metadata' of the entries"


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _s(verb: str, names: Sequence[str]) -> str:
    return verb if len(names) == 1 else verb[:-1]


def _ies(entries: Sequence[object]) -> str:
    return "entry" if len(entries) == 1 else "entries"
