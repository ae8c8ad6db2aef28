"""What calls give back, in JSON that pydantic writes and reads, and so in what Prefect's JSON serializer keeps."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, SchemaSerializer, core_schema


def _text_of(value: InJson) -> str:
    return value.to_json_text()


_as_text = core_schema.plain_serializer_function_ser_schema(_text_of)


class InJson:
    """A class whose objects can be in JSON: there they are one text, which holds attributes that the class names.

    One text and no object: who reads such JSON, as Prefect's serializer does, looks into objects for names of its own,
    which a row may have as well. Nothing is in it that is not in a pickle, and reading it runs no code.

    Attributes:
        in_json: what is kept of it, of what `__getstate__` gives, with the types. The first is always there.
    """

    in_json: ClassVar[Mapping[str, Any]] = {}

    # How pydantic, and what builds on it, writes an object of which it has not been told the class.
    __pydantic_serializer__: ClassVar[SchemaSerializer] = SchemaSerializer(
        core_schema.any_schema(serialization=_as_text)
    )

    def to_json_text(self) -> str:
        """The text."""
        state = self.__getstate__()
        assert isinstance(state, Mapping)
        kept = {name: kind for name, kind in self.in_json.items() if name in state}
        return json.dumps({name: _adapter(kind).dump_python(state[name], mode="json") for name, kind in kept.items()})

    @classmethod
    def from_json_text(cls, text: str) -> Self:
        """What a text tells of.

        Raises:
            ValueError: it is not of this class.
        """
        found = json.loads(text)
        if not isinstance(found, dict) or next(iter(cls.in_json)) not in found:
            raise ValueError(f"this is not what a {cls.__name__} is in JSON")
        made = object.__new__(cls)
        for name in cls.in_json.keys() & found.keys():
            made.__dict__[name] = value = _adapter(cls.in_json[name]).validate_python(found[name])
            _in_utc(value)
        return made

    @classmethod
    def _validated(cls, value: Any) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(f"a {cls.__name__}, or the text that JSON has of one, is wanted")  # noqa: TRY004 - as pydantic wants it
        return cls.from_json_text(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validated, serialization=_as_text, json_schema_input_schema=core_schema.str_schema()
        )


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _in_utc(value: Any) -> None:
    """Give times Python's own UTC: pydantic's is another one, which pandas does not take for the same."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            found = getattr(value, field.name)
            if isinstance(found, datetime):
                object.__setattr__(value, field.name, found.astimezone(UTC))
            else:
                _in_utc(found)
    elif isinstance(value, list | tuple):
        for one in value:
            _in_utc(one)
    elif isinstance(value, Mapping):
        for one in value.values():
            _in_utc(one)
