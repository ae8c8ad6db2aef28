"""Every message that people can meet, from the source, and which of them the tests read.

Where a text becomes a message is often far from where it is written: it stands in a constant, in a helper's result, in
a part of a longer text. So nothing is followed: every text of several words in the source is a message, but those of
the kinds that `_of_source` leaves out.

A message is read by words in a row that no other message has, in a text that a test compares with.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from prefect_experiments.syntax import syntax_tree

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "prefect_experiments"

_SEVERAL = 3
_RUNS = range(_SEVERAL, 9)
# Between the parts of a message, and between those of a text of a test.
GAP = " ... "
BETWEEN = " | "
_A_FEW_WORDS = r" (?:\S+ ){0,12}?"
_PLAIN_WORD = re.compile(r"(?<!\S)[('\"]*[^\W\d_]+[)'\",.;:?!]*(?!\S)")
# What is raised is a message even with fewer words, if they have this many letters.
_LETTERS = 8

# Texts by the call that they are given to: for those who look for a fault of ours, for machines, and about a thing.
_NO_MESSAGE_TO = {"debug", "compile", "execute", "exec_driver_sql", "startswith", "prefect_task", "Group"}
# Of these calls one argument: the name of an attribute, and a type.
_NO_MESSAGE_AT = {"getattr": 1, "cast": 0}
_NO_MESSAGE_AS = {"description", "help", "_description"}
# What compares with no message, or with those that a test of this module makes up.
_NO_TESTS = {"support", "benchmarks", "mutants", "test_messages.py"}
_MARKUP = re.compile(
    r"</|/>|<!|[{;]\n|\n {2}|^(SELECT|UPDATE|INSERT|CREATE|DELETE FROM|PRAGMA)\b|\\S"
    # Columns, and what a database is to work out.
    r"|^(?=.*_)\w+(, \w+)+$|^\w+\(\w+\("
)
# What stands for something else: in `%` and `str.format` in the source, in a pattern in a test.
_FILLED = re.compile(r"%[-\d.]*[sdrfg]|\{\w*\}|\.[*+]\??|\\[SdwD][+*]?")


@dataclass(frozen=True)
class Message:
    """A message in the source.

    Attributes:
        module: relative to the package.
        line: where it is made.
        parts: its fixed texts as words, in order.
    """

    module: str
    line: int
    parts: tuple[str, ...]

    @property
    def words(self) -> str:
        return GAP.join(self.parts)


def messages() -> list[Message]:
    """All of the package's: what is written in several places with the same words is there once."""
    paths = sorted(PACKAGE.rglob("*.py"))
    every = (found for path in paths for found in messages_of(path.read_text(), str(path.relative_to(PACKAGE))))
    return list({one.words: one for one in every}.values())


def messages_of(source: str, module: str = "") -> Iterator[Message]:
    """All of a module's."""
    tree = syntax_tree(source)
    compared = _compared_only(tree)
    for literal, raised in _literals(tree, _of_source):
        if literal in compared:
            continue
        text = _text(literal)
        parts = tuple(_parts(literal))
        words = _FILLED.sub(" ", text)
        several = len(" ".join(parts).split()) >= _SEVERAL and len(_PLAIN_WORD.findall(words)) >= _SEVERAL - 1
        if (several or (raised and len("".join(parts)) >= _LETTERS)) and not _MARKUP.search(text):
            yield Message(module, literal.lineno, parts)


def texts_of_tests() -> Iterator[str]:
    """What the tests, and the documents whose examples are run and compared, compare with."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path.relative_to(ROOT / "tests").parts[0] not in _NO_TESTS:
            yield from texts_of(path.read_text())
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for shown in re.findall(r"^```text\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            yield BETWEEN.join(_parts(ast.Constant(shown)))


def texts_of(source: str) -> Iterator[str]:
    """What a module of tests compares with, as words."""
    for literal, _ in _literals(syntax_tree(source), _of_test):
        yield BETWEEN.join(_parts(literal))


def unread(every: Iterable[Message], texts: Iterable[str]) -> list[Message]:
    """The messages that are not in the texts by words of their own: by all of their words, where none are."""
    owners: dict[str, set[Message]] = defaultdict(set)
    for message in every:
        for run in _runs(message.words):
            owners[run].add(message)
    own: dict[Message, list[str]] = {message: [] for message in every}
    for run, (owner, *others) in owners.items():
        if not others:
            own[owner].append(run)
    plain = set()
    having = defaultdict(set)
    for text in set(texts):
        plain.update(run for part in text.split(BETWEEN) for run in _runs(part))
        for word in text.split():
            having[word].add(text)
    return [
        one
        for one, runs in own.items()
        if plain.isdisjoint(runs)
        and not any(_in_some(run, having) for run in (runs or [one.words]) if GAP in run or not runs)
    ]


def _in_some(run: str, having: Mapping[str, Set[str]]) -> bool:
    """Whether some text has these words, with a few others where the gaps are."""
    texts = set[str].intersection(*(set(having.get(word, ())) for word in run.split() if word != GAP.strip()))
    pattern = re.compile(rf"\b{run.replace(GAP, _A_FEW_WORDS)}\b")
    return any(map(pattern.search, texts))


def _runs(words: str) -> Iterator[str]:
    """Some words in a row, with the gaps between them."""
    row = words.split()
    gap = GAP.strip()
    for length in _RUNS:
        for start in range(len(row) - length + 1):
            run = row[start : start + length]
            if run[0] != gap != run[-1] and length - run.count(gap) >= _SEVERAL:
                yield " ".join(run)


def _literals(tree: ast.Module, within: Callable[[ast.AST], Iterable[ast.AST]]) -> Iterator[tuple[ast.expr, bool]]:
    """The literal texts, and whether each is a part of what is raised. Those in what `within` does not give are not."""
    left: list[tuple[ast.AST, bool]] = [(tree, False)]
    while left:
        node, raised = left.pop()
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            yield node, raised
        raised = raised or isinstance(node, ast.Raise)
        left.extend((child, raised) for child in within(node))


def _of_source(node: ast.AST) -> Iterable[ast.AST]:
    """What can hold a message: not a module of tests, which is there for the author of a backend."""
    if isinstance(node, ast.Module) and any(map(_is_test, ast.walk(node))):
        return ()
    if isinstance(node, ast.Call) and (place := _NO_MESSAGE_AT.get(_name(node.func))) is not None:
        return [node.func, *node.args[:place], *node.args[place + 1 :], *node.keywords]
    if isinstance(node, ast.Call) and _name(node.func) in _NO_MESSAGE_TO:
        return ()
    if isinstance(node, ast.Compare | ast.Assert) or (isinstance(node, ast.keyword) and node.arg in _NO_MESSAGE_AS):
        return ()
    if isinstance(node, ast.Assign) and _name(node.targets[0]) in _NO_MESSAGE_AS:
        return ()
    return _but_docstrings(node)


def _compared_only(tree: ast.Module) -> set[ast.AST]:
    """What stands in the module's constants that texts of others are compared with, and nothing else is done with."""
    made = {_name(node.targets[0]): node for node in tree.body if isinstance(node, ast.Assign)}
    said = {node.id for node in _within(tree, _of_source) if _is_read(node)}
    read = {node.id for node in ast.walk(tree) if _is_read(node)}
    return {part for name in read - said if name in made for part in ast.walk(made[name])}


def _is_read(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def _within(node: ast.AST, within: Callable[[ast.AST], Iterable[ast.AST]]) -> Iterator[ast.AST]:
    yield node
    for child in within(node):
        yield from _within(child, within)


def _of_test(node: ast.AST) -> Iterable[ast.AST]:
    """What can hold a text that a test compares with: not why it is skipped, nor what it says when it fails."""
    if isinstance(node, ast.Assert):
        return (node.test,)
    if isinstance(node, ast.Raise) or (isinstance(node, ast.keyword) and node.arg in ("reason", "ids")):
        return ()
    return _but_docstrings(node)


def _is_test(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")


def _but_docstrings(node: ast.AST) -> Iterable[ast.AST]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return ()
    if isinstance(node, ast.JoinedStr):
        return [value for value in node.values if isinstance(value, ast.FormattedValue)]
    return ast.iter_child_nodes(node)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _parts(literal: ast.expr) -> Iterator[str]:
    return filter(None, map(_words, _FILLED.split(_text(literal))))


def _text(literal: ast.expr) -> str:
    """A literal's text, with a sign that is in none for what is put into it."""
    if isinstance(literal, ast.JoinedStr):
        return "".join(str(value.value) if isinstance(value, ast.Constant) else "%s" for value in literal.values)
    return str(literal.value) if isinstance(literal, ast.Constant) else ""


def _words(text: str) -> str:
    """A text as its words: what a pattern escapes, and where a line is broken, makes no difference."""
    return " ".join(re.findall(r"\w+", text.replace("\\", ""))).casefold()
