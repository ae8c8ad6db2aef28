"""What gates and metrics are made of: rules, each a class with its field, its check and its sentences.

A rule's field is one of `options`: its type and bounds say what it may hold, the docstring under it what it means.
Refusals, the forms of flows and the table in docs/comparing.md are made of these.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import ConfigDict

from prefect_experiments import configuration
from prefect_experiments.errors import InvalidSetting, from_here, unknown_value
from prefect_experiments.options import Options
from prefect_experiments.texts import shortened

if TYPE_CHECKING:
    from prefect_experiments.analysis.gate.family import Test

_IS_JSON = re.compile(r"\s*\{\s*(?:[\"}]|\Z)")  # else it is YAML, which may begin with a brace, too
_SUFFIXES = (".yaml", ".yml", ".json")
_SHOWN = 60
_SHORTENED = reprlib.Repr()  # YAML's anchors make long values of small texts
_SHORTENED.maxstring = _SHORTENED.maxother = 2 * _SHOWN


class Rule(Options):
    """A rule, which is a class with a field and `check`; or what is made of rules by inheriting them.

    ``check(case)`` yields what the rule says of a case, a pure function of it. What it asks of chance it says before,
    in ``tests(case)``: ``case.family`` has the p-values of all rules, adjusted together. The field and the check of the
    last base class come first.
    """

    model_config = ConfigDict(allow_inf_nan=False)
    called: ClassVar[str] = ""
    """What the rule is called in a verdict."""

    @classmethod
    def __pydantic_init_subclass__(cls, **given: Any) -> None:
        super().__pydantic_init_subclass__(**given)
        cls.said_before_names = f"{cls.__name__}."

    @classmethod
    def made_of(cls) -> list[Any]:
        """The rules that it inherits."""
        return [base for base in reversed(cls.__mro__) if Rule in base.__bases__]

    def tests(self, case: Any) -> Iterator[Test]:  # noqa: ARG002 (for those that do)
        """What it asks of chance: nothing, where a rule does not say."""
        yield from ()

    def asked(self, case: Any) -> Iterator[Test]:
        """What each of these asks, with its own field only."""
        for rule in self.made_of():
            yield from rule.of(self).tests(case)

    def checks(self, case: Any) -> Iterator[Any]:
        """What each of these says, with its own field only."""
        for rule in self.made_of():
            yield from rule.of(self).check(case)

    @classmethod
    def from_mapping(cls, value: Mapping[Any, Any], where: str) -> Self:
        """One of this class, of values by its fields' names.

        Raises:
            InvalidSetting: an unknown key, or a value that cannot be used.
        """
        known = list(cls.model_fields)
        for key in value:
            if key not in known:
                raise InvalidSetting(f"{where}: {unknown_value('key', key, known)}")
        try:
            return cls(**value)
        except InvalidSetting as error:
            raise InvalidSetting(f"{where}: {error}") from None


def as_mapping(value: Any, must: str) -> Mapping[Any, Any]:
    """A mapping as it is, and nothing as an empty one.

    Args:
        value: what was given.
        must: what it must be, as the beginning of the refusal.

    Raises:
        InvalidSetting: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidSetting(f"{must}, got {shown(value)}")
    return value


def shown(value: Any) -> str:
    """A value for a message, shortened."""
    return shortened(_SHORTENED.repr(value), _SHOWN)


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
        value = _load(value, origin, is_json=_IS_JSON.match(value) is not None)
    if value is None and origin != "the gate":
        raise InvalidSetting(f"{origin} is empty; it takes rules such as {{metrics: {{correctness: {{min: 0.8}}}}}}")
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
