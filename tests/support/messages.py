"""Every message that people can meet, from the source: what is raised, warned of, logged, noted or told.

A message is known by its fixed words: the text between what is put into it. A test reads it where a text in the tests
(or in a document whose examples are run and compared) has some of these words.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from prefect_experiments.syntax import syntax_tree

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "prefect_experiments"

# Calls whose text somebody reads: of loggers, of warnings, of what the command line says.
_SAYING = {"warning", "error", "info", "exception", "warn", "tell", "add_note", "with_advice"}
_FEW_WORDS = 3


@dataclass(frozen=True)
class Message:
    """A message in the source.

    Attributes:
        module: relative to the package.
        line: where it is made.
        parts: its fixed texts, in order.
    """

    module: str
    line: int
    parts: tuple[str, ...]

    @property
    def words(self) -> str:
        return " ... ".join(self.parts)

    def is_read_in(self, texts: Set[str]) -> bool:
        """Whether a run of its words is among those of the texts."""
        return any(run in texts for part in self.parts for run in runs(part))


def in_words(text: str) -> str:
    """A text as its words: what a pattern escapes, and where a line is broken, makes no difference."""
    return " ".join(re.sub(r"\W+", " ", text.replace("\\", "")).split()).casefold()


def runs(part: str) -> list[str]:
    """Some words in a row, each of which makes a part recognisable; all of it where there are few."""
    words = in_words(part).split()
    if len(words) <= _FEW_WORDS:
        return [" ".join(words)] if len("".join(words)) >= 8 else []
    return [" ".join(words[n : n + _FEW_WORDS]) for n in range(len(words) - _FEW_WORDS + 1)]


def messages() -> list[Message]:
    """All of the package's, but those without a word of their own."""
    return [found for path in sorted(PACKAGE.rglob("*.py")) for found in _of(path) if any(map(runs, found.parts))]


def read_by_tests() -> Set[str]:
    """All runs of words that the tests, and the documents that are compared, have in their texts."""
    texts: list[str] = []
    for path in sorted({*(ROOT / "tests").rglob("*.py")} - {ROOT / "tests" / "test_messages.py"}):
        for node in ast.walk(syntax_tree(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                texts.append(" ".join(_parts(node, {})))
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        texts.extend(re.findall(r"^```text\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL))
    found: set[str] = set()
    for text in texts:
        words = in_words(text).split()
        for length in range(1, _FEW_WORDS + 1):
            found.update(" ".join(words[n : n + length]) for n in range(len(words) - length + 1))
    return found


def _of(path: Path) -> Iterator[Message]:
    tree = syntax_tree(path.read_text())
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    module = str(path.relative_to(PACKAGE))
    for node in ast.walk(tree):
        for said in _said(node):
            if parts := tuple(_parts(said, constants)):
                yield Message(module, node.lineno, parts)


def _said(node: ast.AST) -> Iterator[ast.expr]:
    """The texts of what is raised or said here."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        yield from node.exc.args
        yield from (keyword.value for keyword in node.exc.keywords if keyword.arg in ("advice", "reason"))
    elif isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in _SAYING:
            yield from node.args
        elif name in ("Clause", "MetricCheck", "plain_check", "Finding", "Warning", "Problem"):
            yield from node.args
            yield from (keyword.value for keyword in node.keywords)
        elif name == "append" and isinstance(node.func, ast.Attribute) and "problems" in ast.unparse(node.func.value):
            yield from node.args


def _parts(node: ast.expr, constants: dict[str, ast.expr]) -> Iterator[str]:
    """The fixed texts of an expression."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield from filter(str.strip, re.split(r"%[-\d.]*[sdrfg]", node.value))
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            if isinstance(value, ast.Constant):
                yield from filter(str.strip, [str(value.value)])
            elif isinstance(value, ast.FormattedValue):
                yield from _parts(value.value, constants)
    elif isinstance(node, ast.BinOp):
        yield from _parts(node.left, constants)
        yield from _parts(node.right, constants)
    elif isinstance(node, ast.IfExp):
        yield from _parts(node.body, constants)
        yield from _parts(node.orelse, constants)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _parts(value, constants)
    elif isinstance(node, ast.Name) and node.id in constants:
        yield from _parts(constants[node.id], {})
