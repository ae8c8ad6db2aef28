"""Options of commands that are made from the models of `options`."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, get_args

from annotated_types import Gt
from cyclopts import Group, Parameter

from prefect_experiments.options import Options, RunsTasks, Sample, described

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

T = TypeVar("T", bound="OptionGroup")

# What can be given several times is called by the singular, and a command knows what it is about.
_NAMES = {
    "rate_limit_errors": "rate_limit_error",
    "splits": "split",
    "experiment_name": "name",
    "experiment_description": "description",
    "input_keys": "input_key",
    "output_keys": "output_key",
    "metadata_keys": "metadata_key",
}


class OptionGroup:
    """Options of a command; see `made_from`."""

    model: ClassVar[type[Options]]

    def arguments(self) -> dict[str, Any]:
        """What was given, as the client's calls take it."""
        given: dict[str, Any] = {}
        for name, field in self.model.model_fields.items():
            if name == "sample":
                given[name] = sample_of(self.__dict__)
                continue
            value = getattr(self, _NAMES.get(name, name))
            given[name] = None if value == 0 and _is_none_as_0(field) else value
        return given


def made_from(model: type[Options], group: Group | None = None) -> Callable[[type[T]], type[T]]:
    """Decorator of an `OptionGroup`: an option for each parameter of a model, besides those of its own."""

    def decorate(cls: type[T]) -> type[T]:
        words = described(model)
        for name, field in model.model_fields.items():
            if name == "sample":
                _add_sample(cls)
            else:
                _add(cls, _NAMES.get(name, name), _type_of(field), field.default, _said(words[name], field))
        cls.model = model
        shown = Parameter(name="*") if group is None else Parameter(name="*", group=group)
        return shown(dataclasses.dataclass(frozen=True, kw_only=True)(cls))

    return decorate


def _add(cls: type, name: str, kind: Any, default: Any, words: str) -> None:
    shown = default is not None and kind is not bool
    cls.__annotations__[name] = Annotated[kind, Parameter(help=words, show_default=shown)]
    setattr(cls, name, default)


def _add_sample(cls: type) -> None:
    """An option for each field of a sample; what is not given stays as a `Sample` has it."""
    words = described(Sample)
    for name, field in Sample.model_fields.items():
        usual = "" if field.default is None else f" [default: {field.default}]"
        kind: Any = field.annotation
        _add(cls, f"sample_{name}", kind | None, None, f"for a sample: {_plain(words[name])}{usual}")


def sample_of(given: Mapping[str, Any]) -> Sample | None:
    """The sample that options called ``sample_...`` describe, if any of them is given."""
    values = {name: given[f"sample_{name}"] for name in Sample.model_fields}
    values = {name: value for name, value in values.items() if value is not None}
    return Sample(**values) if values else None


def _type_of(field: FieldInfo) -> Any:
    """What a command line reads: one value, or texts where several are possible."""
    annotation: Any = field.annotation
    if not isinstance(annotation, types.UnionType):
        return annotation
    kinds = [kind for kind in get_args(annotation) if kind is not types.NoneType]
    if RunsTasks in kinds:
        return str | None
    if len(kinds) > 1:
        return list[str] | None
    return kinds[0] if _is_none_as_0(field) else annotation


def _is_none_as_0(field: FieldInfo) -> bool:
    """Whether 0 stands for a ``None`` that is not the default: there is no other way to write it."""
    above_0 = any(isinstance(bound, Gt) for bound in field.metadata)
    return above_0 and field.default is not None and types.NoneType in get_args(field.annotation)


def _said(words: str, field: FieldInfo) -> str:
    several = "" if _type_of(field) != list[str] | None else " Can be given several times."
    return _plain(words.replace("``None``", "0")) + several


def _plain(words: str) -> str:
    return words.replace("`", "")
