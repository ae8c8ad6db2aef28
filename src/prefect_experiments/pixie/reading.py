"""Reading files of pixie's.

What is wrong with a file is said at once, all of it, each with the number of its entry and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from prefect_experiments.datasets.files import read_text
from prefect_experiments.datasets.json_text import BadJson, Fault, load_leniently
from prefect_experiments.errors import InvalidDataset
from prefect_experiments.jsonable import NotJson, dumps_strict
from prefect_experiments.pixie.examples import (
    ABSENT,
    DESCRIPTION,
    EVAL_INPUT,
    EVAL_METADATA,
    EVAL_OUTPUT,
    EXPECTATION,
    FORMS,
    Entry,
    Form,
    Named,
)
from prefect_experiments.pixie.file import (
    DEFAULTS,
    ENTRIES,
    ENTRY_KEYS,
    EVALUATORS,
    NAME,
    RUNNABLE,
    FileEntry,
    PixieFile,
    expanded,
    place,
    quoted,
)

T = TypeVar("T")

_NESTED = "test_case"
_IN_NESTED = (EVAL_INPUT, EXPECTATION, DESCRIPTION, EVAL_METADATA)
_UNSET = "UNSET"  # what pixie itself reads as no expectation


def is_pixie(path: str | Path) -> bool:
    """Whether a file is one of pixie's, be it one with mistakes: a JSON object with its words at the top."""
    path = Path(path)
    try:
        if path.suffix.lower() != ".json" or not path.is_file():
            return False
        with path.open("rb") as file:  # lists of rows, which may be long, are not read for that
            if not file.read(100).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
                return False
        text = read_text(path)
    except (OSError, InvalidDataset):
        return False
    if f'"{ENTRIES}"' not in text and f'"{RUNNABLE}"' not in text:
        return False
    try:
        found, _ = load_leniently(text)
    except BadJson:
        return _LOOKS_LIKE_IT.match(text) is not None
    return RUNNABLE in found or _has_entries(found)


_LOOKS_LIKE_IT = re.compile(
    r'\s*\{\s*(?:"(?:name|version|description)"\s*:\s*"[^"]*"\s*,\s*)*"(?:runnable|entries|evaluators)"'
)


def _has_entries(found: Mapping[str, Any]) -> bool:
    entries = found.get(ENTRIES)
    return isinstance(entries, list) and any(
        isinstance(one, dict) and not one.keys().isdisjoint((*FORMS, _NESTED)) for one in entries
    )


def read_pixie(path: str | Path, form: Form | None = None) -> PixieFile:
    """What a file holds, and what is wrong with it.

    Args:
        path: of the file.
        form: judge its entries by the rules of this form, whatever their arguments are called.

    Raises:
        InvalidDataset: it is no JSON object.
    """
    path = Path(path)
    try:
        content, faults = load_leniently(read_text(path))
    except BadJson as error:
        raise InvalidDataset(f"{path}: {error.place}: {error}") from None
    return parse_pixie(content, path, form, faults)


def parse_pixie(content: Any, path: Path, form: Form | None = None, faults: Sequence[Fault] = ()) -> PixieFile:
    """`read_pixie` of what has been read already.

    Args:
        content: of the file.
        path: of the file.
        form: as there.
        faults: what is in the file and could not be read into the content.

    Raises:
        InvalidDataset: it is no object.
    """
    if not isinstance(content, dict):
        raise InvalidDataset(
            f"{path}: a pixie dataset is a JSON object with 'runnable' and 'entries', not {kind(content)}"
        )
    return _Reader(path, form).read(content, faults)


def _in_entry(fault: Fault, content: Mapping[str, Any]) -> str:
    """What is wrong with a part of the file, said of the entry that it is in."""
    match fault.path:
        case (str(key), int(index), *rest) if key == ENTRIES:
            entry = content[ENTRIES][index]
            about = entry.get(DESCRIPTION) if isinstance(entry, dict) else None
            return f"{place(index + 1, about)}: {Fault(tuple(rest), fault.text)}"
    return str(fault)


class _Unusable(Exception):
    """A part of the file that cannot be used; said already."""


@dataclass(slots=True)
class _Reader:
    """Goes through a file and notes all that is wrong with it."""

    path: Path
    form: Form | None
    problems: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    has_nested: bool = False

    def read(self, content: Mapping[str, Any], faults: Sequence[Fault]) -> PixieFile:
        self.problems += [_in_entry(fault, content) for fault in faults]
        self._values({key: content[key] for key in (NAME, RUNNABLE, EVALUATORS) if key in content}, "")
        name = self._name(content)
        runnable = self._runnable(content)
        evaluators = self._evaluators(content, "")
        entries = tuple(self._entries(content, evaluators))
        if self.has_nested:
            self.problems.append(
                "what was under 'test_case' up to pixie 0.5 stands in the entry itself; this rewrites the file: "
                f"jq '.entries |= map(if .test_case then . + .test_case | del(.test_case) else . end)' {self.path.name}"
            )
        return PixieFile(
            path=self.path,
            name=name,
            runnable=runnable,
            evaluators=tuple(dict.fromkeys(evaluators or ())),
            entries=entries,
            keys=tuple(content),
            named=self.named,
            problems=tuple(self.problems),
        )

    def _refuse(self, text: str) -> NoReturn:
        self.problems.append(text)
        raise _Unusable

    def _values(self, parts: Mapping[str, Any], where: str) -> None:
        """Take note of values that JSON allows and nothing keeps; each is kept within one object, as it is here."""
        for key, value in parts.items():
            try:
                dumps_strict({key: value})
            except NotJson as error:
                self.problems.append(f"{where}{error}. Nothing keeps such a value; take it out, or write it as text")

    def _name(self, content: Mapping[str, Any]) -> str:
        name = content.get(NAME, "")
        if not isinstance(name, str):
            self.problems.append(f"'name' must be text, got {kind(name)}; leave it out to take the file's name")
        return name.strip() if isinstance(name, str) and name.strip() else self.path.stem

    def _runnable(self, content: Mapping[str, Any]) -> str:
        told = "write the application as path.py:Name, such as 'pixie_qa/scripts/run_app.py:AppRunnable'"
        if RUNNABLE not in content:
            self.problems.append(f"'runnable' is missing; {told}")
            return ""
        runnable = content[RUNNABLE]
        if not isinstance(runnable, str) or not runnable.strip():
            got = "an empty text" if isinstance(runnable, str) else kind(runnable)
            self.problems.append(f"'runnable' must name the application, got {got}; {told}")
            return ""
        runnable = runnable.strip()
        if not all(runnable.rpartition(":")):
            self.problems.append(f"'runnable' must be path.py:Name, got {quoted(runnable)}; {told}")
            return ""
        return runnable

    def _evaluators(self, content: Mapping[str, Any], where: str) -> list[str] | None:
        """The names in a list of evaluators; ``None`` where it cannot be used. In an entry, the file's may be meant."""
        given, told, found = content.get(EVALUATORS), len(self.problems), []
        if given is None:
            return []
        if not isinstance(given, list):
            self.problems.append(
                f"{where}'evaluators' must be a list of names, got {kind(given)}; write [\"Factuality\"], say"
            )
            return None
        for number, one in enumerate(given, 1):
            if not isinstance(one, str) or not one.strip():
                got = "an empty text" if isinstance(one, str) else kind(one)
                self.problems.append(f"{where}evaluator {number} must be a name or path.py:Name, got {got}")
            elif one.strip() == DEFAULTS and not where:
                self.problems.append(
                    "'...' stands for the evaluators of the file, and so only in those of an entry; take it out of "
                    "the file's own"
                )
            else:
                found.append(one.strip())
                if one.strip() != DEFAULTS:
                    self.named.setdefault(one.strip(), where)
        return found if len(self.problems) == told else None

    def _entries(self, content: Mapping[str, Any], defaults: list[str] | None) -> Iterator[FileEntry]:
        if ENTRIES not in content:
            self.problems.append("'entries' is missing; it is the list of what the application is run on")
            return
        entries = content[ENTRIES]
        if not isinstance(entries, list):
            self.problems.append(f"'entries' must be a list of objects, got {kind(entries)}")
            return
        if not entries:
            self.problems.append("'entries' is empty: there is nothing to run; add an entry")
        for number, one in enumerate(entries, 1):
            if not isinstance(one, dict):
                self.problems.append(
                    f"entry {number} must be an object with 'input_data' (or 'entry_kwargs') and 'description', got "
                    f"{kind(one)}"
                )
                continue
            found = self._entry(number, one, defaults)
            if found is not None:
                yield found

    def _entry(self, number: int, given: Mapping[str, Any], defaults: list[str] | None) -> FileEntry | None:
        """An entry, or ``None`` where something of it cannot be used; all that is wrong with it is noted."""
        where = f"{place(number, given.get(DESCRIPTION))}: "
        nested = given.get(_NESTED)
        if isinstance(nested, dict) and any(key in nested and key not in given for key in _IN_NESTED):
            moved = ", ".join(repr(key) for key in _IN_NESTED if key in nested)
            self.problems.append(
                f"{place(number, nested.get(DESCRIPTION))}: it is nested as pixie 0.5 had it; move {moved} from "
                "'test_case' up into the entry"
            )
            self.has_nested = True
            return None
        told = len(self.problems)
        self._values({key: given[key] for key in ENTRY_KEYS if key in given}, where)
        form, arguments = self._part(self._arguments, given, where) or (FORMS[0], {})
        eval_input = self._part(self._eval_input, given, where, form) or ()
        description = self._part(self._description, given, where)
        about = self._part(self._eval_metadata, given, where)
        own = self._evaluators(given, where)
        names = None if own is None or defaults is None else expanded(own, defaults)
        if names is not None and not names:
            self.problems.append(
                f"{where}it has no evaluators, and neither has the file; name some in its 'evaluators', or in the "
                "file's for all entries"
            )
        if len(self.problems) > told or names is None:
            return None
        expectation = given.get(EXPECTATION, ABSENT)
        entry = Entry(
            form=form,
            arguments=arguments,
            eval_input=eval_input,
            expectation=ABSENT if expectation == _UNSET else expectation,
            description=description,
            eval_metadata=about,
        )
        return FileEntry(
            number=number,
            entry=entry,
            evaluators=tuple(dict.fromkeys(names)),
            eval_output=given.get(EVAL_OUTPUT, ABSENT),
            keys=tuple(given),
        )

    def _part(self, read: Callable[..., T], *arguments: Any) -> T | None:
        """A part of an entry, ``None`` where it cannot be used: what else is wrong is looked for all the same."""
        try:
            return read(*arguments)
        except _Unusable:
            return None

    def _arguments(self, given: Mapping[str, Any], where: str) -> tuple[Form, Mapping[str, Any]]:
        there = [form for form in FORMS if form in given]
        if not there:
            self._refuse(
                f"{where}'input_data' is missing (pixie 0.6 called it 'entry_kwargs'); it is the object that the "
                "application is called with, {} where it takes nothing"
            )
        for form in there:
            if not isinstance(given[form], dict):
                self._refuse(
                    f"{where}'{form}' must be an object, what the application is called with by name, got "
                    f"{kind(given[form])}"
                )
        if len(there) > 1 and given[there[0]] != given[there[1]]:
            self._refuse(
                f"{where}'input_data' and 'entry_kwargs' are the same under two names, and differ here; leave one of "
                "them"
            )
        return self.form or there[0], given[there[0]]

    def _eval_input(self, given: Mapping[str, Any], where: str, form: Form) -> tuple[Named, ...]:
        items = given.get(EVAL_INPUT, [])
        shape = '[{"name": "user_message", "value": ...}]'
        if not isinstance(items, list):
            self._refuse(f"{where}'eval_input' must be a list such as {shape}, got {kind(items)}")
        if not items and form == "entry_kwargs":
            self._refuse(
                f"{where}'eval_input' needs at least one item, such as {shape}: by the rules of 'entry_kwargs', "
                "evaluators see nothing else (with 'input_data' they see that, too)"
            )
        told = len(self.problems)
        for number, item in enumerate(items, 1):
            if not isinstance(item, dict):
                self.problems.append(
                    f"{where}'eval_input' item {number} must be an object with 'name' and 'value', got {kind(item)}"
                )
                continue
            if not isinstance(item.get("name"), str):
                got = f"must be text, got {kind(item['name'])}" if "name" in item else "is missing"
                self.problems.append(f"{where}'eval_input' item {number}: 'name' {got}; it is that of the `wrap` call")
            if "value" not in item:
                self.problems.append(
                    f"{where}'eval_input' item {number}: 'value' is missing; write null where that is the value"
                )
        if len(self.problems) > told:
            raise _Unusable
        return tuple(Named(item["name"], item["value"]) for item in items)

    def _description(self, given: Mapping[str, Any], where: str) -> str:
        said = given.get(DESCRIPTION)
        if isinstance(said, str) and said.strip():
            return said
        got = "an empty text" if isinstance(said, str) else kind(said)
        fault = f"must be text that is not empty, got {got}" if DESCRIPTION in given else "is missing"
        return self._refuse(f"{where}'description' {fault}; say in a few words what the entry is about")

    def _eval_metadata(self, given: Mapping[str, Any], where: str) -> Mapping[str, Any] | None:
        about = given.get(EVAL_METADATA)
        if about is None or isinstance(about, dict):
            return about
        return self._refuse(f"{where}'eval_metadata' must be an object, got {kind(about)}")


def kind(value: object) -> str:
    """What sort of JSON value it is: what an entry holds is not for messages."""
    if value is None:
        return "null"
    names = {bool: "a truth value", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "an object")
