"""YAML and JSON that people write for us: nothing in it is lost, and nothing is taken for what it does not say.

A key that stands twice is refused, for one of the two would be lost. YAML is read as its version 1.2 has it, so what
1.1 makes a truth value (``on``, ``no``), a date, or another number (``1_000``, ``010``, ``1:30``) stays the text that
it is, and is refused where a number is asked for. No tag makes an object of anything.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

_TAG = "tag:yaml.org,2002:"
_PLAIN = frozenset(f"{_TAG}{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map"))
_WHOLE = r"[-+]?(?:0|[1-9][0-9]*)"
_EXPONENT = r"(?:[eE][-+]?[0-9]+)?"
# What a plain word of YAML may be besides text: kind, pattern, and what it may begin with. The first that fits counts.
_WORDS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", _WHOLE, list("-+0123456789")),
    ("float", rf"(?:{_WHOLE}(?:\.[0-9]*)?|[-+]?\.[0-9]+){_EXPONENT}", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
)


class Unreadable(ValueError):
    """A file or a text that cannot be used. The error's text goes on after its name: ``is not JSON: line 1, ...``."""


def read_json(path: str | Path) -> Any:
    """What a JSON file holds; see `parse_json`."""
    return parse_json(read(path))


def read(path: str | Path) -> str:
    """The text of a file, in UTF-8 with or without a byte order mark.

    Raises:
        Unreadable: there is no such file, or it is another sort of file.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        Unreadable: it is no JSON, or a key stands twice in an object.
    """
    try:
        found = json.loads(text, object_pairs_hook=_Pairs, parse_constant=_refuse_constant)
        return _settled(found, "")
    except Unreadable:
        raise
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise Unreadable("is not JSON that can be read: it is nested too deep") from None
    except ValueError as error:  # a whole number of more digits than Python reads
        raise Unreadable(f"is not JSON that can be read: {error}") from None


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written: in a mapping, the later of two would have taken the first one's place."""


def _settled(value: Any, where: str) -> Any:
    if isinstance(value, _Pairs):
        found: dict[str, Any] = {}
        for key, item in value:
            if key in found:
                place = f" in {where}" if where else ""
                raise Unreadable(f"has the key {key!r} twice{place}; leave one of them out")
            found[key] = _settled(item, f"{where}.{key}" if where else key)
        return found
    if isinstance(value, list):
        return [_settled(item, f"{where}[{place}]") for place, item in enumerate(value)]
    return value


def _refuse_constant(word: str) -> Any:
    raise Unreadable(f"is not JSON: it has no number {word}")


def parse_yaml(text: str) -> Any:
    """The value of a YAML text of one document.

    Raises:
        Unreadable: it is no YAML, a key stands twice in a mapping, or a tag asks for an object.
    """
    import yaml  # type: ignore[import-untyped, unused-ignore]

    try:
        return yaml.load(text, Loader=_loader())  # noqa: S506 - made of the safe one
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Unreadable(f"is not YAML: {where}{getattr(error, 'problem', None) or 'it cannot be read'}") from None
    except RecursionError:
        raise Unreadable("is not YAML that can be read: it is nested too deep") from None
    except ValueError as error:  # a whole number of more digits than Python reads
        raise Unreadable(f"is not YAML that can be read: {error}") from None


@functools.cache
def _loader() -> Any:
    """The class that reads YAML; made when it is first needed, for importing the library takes its time."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc, unused-ignore]
        def compose_mapping_node(self, anchor: Any) -> Any:
            """Before merge keys are filled in: what a mapping says itself goes before what it takes over."""
            node = super().compose_mapping_node(anchor)
            seen: dict[Any, int] = {}
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                name = key.value if key.tag == f"{_TAG}merge" else self.construct_object(key)
                if name in seen:
                    problem = f"the key {key.value!r} stands twice (before in line {seen[name]}); leave one of them out"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen[name] = key.start_mark.line + 1
            return node

        def construct_scalar(self, node: Any) -> Any:
            """What a tag such as ``!!int`` stands before must be written as one."""
            said = self.resolve(yaml.ScalarNode, node.value, (True, False))  # type: ignore[no-untyped-call]
            if node.tag.removeprefix(_TAG) in {"null", "bool", "int", "float"} and said != node.tag:
                problem = f"{node.value!r} is not written as {node.tag.removeprefix(_TAG)}"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
            return super().construct_scalar(node)

    Loader.yaml_implicit_resolvers = {}
    made = yaml.SafeLoader.yaml_constructors.items()
    Loader.yaml_constructors = {tag: make for tag, make in made if tag is None or tag in _PLAIN}
    for kind, pattern, beginnings in _WORDS:
        Loader.add_implicit_resolver(f"{_TAG}{kind}", re.compile(rf"(?:{pattern})\Z"), beginnings)
    return Loader
