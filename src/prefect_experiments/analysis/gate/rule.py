"""What gates and metrics are made of: rules, each a class with its field, its check and its sentences.

What a field may hold is what its type and its metadata say, in pydantic's words (``ge``, ``le``, ``gt``, ``lt``); what
it means, the docstring under it. Refusals, the forms of flows and the table in docs/comparing.md are made of these.
"""

from __future__ import annotations

import operator
import reprlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter

from prefect_experiments import configuration
from prefect_experiments.errors import InvalidSetting, from_here, unknown_value
from prefect_experiments.models import _Record

_SUFFIXES = (".yaml", ".yml", ".json")
_SHOWN = 60
_SHORTENED = reprlib.Repr()  # YAML's anchors make long values of small texts
_SHORTENED.maxstring = _SHORTENED.maxother = 2 * _SHOWN
_BOUNDS = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}
_WORDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


@dataclass(frozen=True, kw_only=True)
class Rule(_Record):
    """A rule, which is a class with a field and `check`; or what is made of rules by inheriting them.

    ``check(case)`` yields what the rule says of a case, a pure function of it. The field and the check of the last base
    class come first, as the fields of dataclasses do.
    """

    called: ClassVar[str] = ""
    """What the rule is called in a verdict."""

    __pydantic_config__: ClassVar[ConfigDict] = {"use_attribute_docstrings": True}

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for each in fields(self):
            _refuse(f"{type(self).__name__}.{each.name}", each, hints[each.name], getattr(self, each.name))

    @classmethod
    def made_of(cls) -> list[Any]:
        """The rules that it inherits."""
        return [base for base in reversed(cls.__mro__) if Rule in base.__bases__]

    def checks(self, case: Any) -> Iterator[Any]:
        """What each of these says, with its own field only."""
        for rule in self.made_of():
            yield from rule(**{each.name: getattr(self, each.name) for each in fields(rule)}).check(case)

    @classmethod
    def descriptions(cls) -> dict[str, str]:
        """By field, the docstring under it, in one line."""
        found = dict.fromkeys((each.name for each in fields(cls)), "")
        for base in cls.__mro__[: cls.__mro__.index(Rule)]:
            for name, schema in TypeAdapter(base).json_schema()["properties"].items():
                found[name] = found[name] or " ".join(schema.get("description", "").split())
        return found

    @classmethod
    def from_mapping(cls, value: Mapping[Any, Any], where: str) -> Self:
        """One of this class, of values by its fields' names.

        Raises:
            InvalidSetting: an unknown key, or a value that cannot be used.
        """
        known = [each.name for each in fields(cls)]
        for key in value:
            if key not in known:
                raise InvalidSetting(f"{where}: {unknown_value('key', key, known)}")
        return cls(**value)


def _refuse(name: str, each: Field[Any], hint: Any, value: Any) -> None:
    kinds = get_args(hint) if NoneType in get_args(hint) else (hint,)
    if value is None and NoneType in kinds:
        return
    if get_origin(kinds[0]) is Literal and value not in get_args(kinds[0]):
        raise InvalidSetting(unknown_value(name, value, list(get_args(kinds[0]))))
    if kinds[0] in (int, float):
        _refuse_number(name, each, kinds[0], value)


def _refuse_number(name: str, each: Field[Any], kind: type[int] | type[float], value: Any) -> None:
    bounds = each.metadata
    is_number = isinstance(value, int | kind) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if not is_number and not (value is None and bounds):
        raise InvalidSetting(f"{name} must be a {'whole' if kind is int else 'finite'} number, got {shown(value)}")
    if value is None or not all(_BOUNDS[key](value, bound) for key, bound in bounds.items()):
        text = " and ".join(f"{_WORDS[key]} {bound:g}" for key, bound in bounds.items())
        if bounds.keys() == {"ge", "le"}:
            text = f"from {bounds['ge']:g} to {bounds['le']:g}"
        example = f" such as {each.default:g};" if isinstance(each.default, int | float) else ""
        raise InvalidSetting(f"{name} must be {text},{example} got {value!r}")


def shown(value: Any) -> str:
    """A value for a message, shortened."""
    text = _SHORTENED.repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def written_rules(value: Any) -> tuple[Mapping[Any, Any], str]:
    """The mapping that a gate is written as, and what to call the gate in messages.

    Args:
        value: the mapping itself; YAML or JSON as text; or the path of a file of such.

    Raises:
        InvalidSetting: no such file, not YAML or JSON, or something else than a mapping.
    """
    origin = "the gate"
    if isinstance(value, Path) or (isinstance(value, str) and _is_path(value)):
        origin = f"the gate {value}"
        value = _read(Path(value), origin)
    elif isinstance(value, str):
        value = _load(value, origin, is_json=value.lstrip().startswith("{"))
    if not isinstance(value, Mapping):
        raise InvalidSetting(
            f"{origin} must be a mapping such as {{metrics: {{correctness: {{min: 0.8}}}}}}, "
            f"or the path of a .yaml or .json file with one; got {shown(value)}"
        )
    return value, origin


def _is_path(text: str) -> bool:
    return "\n" not in text and Path(text.strip()).suffix.lower() in _SUFFIXES


def _read(path: Path, origin: str) -> Any:
    if path.suffix.lower() not in _SUFFIXES:
        raise InvalidSetting(f"{origin}: {unknown_value('file suffix', path.suffix, list(_SUFFIXES))}")
    try:
        text = configuration.read(path)
    except configuration.Unreadable as error:
        raise InvalidSetting(f"{origin} {error} {from_here()}") from None
    return _load(text, origin, is_json=path.suffix.lower() == ".json")


def _load(text: str, origin: str, *, is_json: bool) -> Any:
    try:
        return configuration.parse_json(text) if is_json else configuration.parse_yaml(text)
    except configuration.Unreadable as error:
        raise InvalidSetting(f"{origin} {error}") from None
