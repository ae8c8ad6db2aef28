"""What a value of a type that JSON has not is in JSON, one level of it.

Types of other libraries are told by their looks and names, so that none of those is imported. Everything a
value holds is in its form: none ever stands for a part that was left out.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import importlib
import re
from collections import UserString
from collections.abc import Callable, Iterable, Mapping, MappingView, Sequence, Set
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import orjson

from prefect_experiments.unread import Unread

_LETTERS = {re.ASCII: "a", re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.VERBOSE: "x"}
_MISSING = frozenset({"NAType", "NaTType"})
_AS_TEXT = frozenset({
    "ipaddress._IPAddressBase", "zoneinfo.ZoneInfo", "pydantic_core.Url", "pydantic.networks._BaseUrl",
    "pydantic.types._SecretBase", "httpx.URL", "httpx2.URL", "bs4.element.Tag", "pandas.Period", "pandas.Interval",
    "uuid.UUID",
})  # fmt: skip
_CONVERTERS = ("to_pylist", "to_dicts", "to_list", "as_py", "toarray", "to_dict", "as_dict")
_NS = 10**9
_NS_OF_UNIT = {"W": 604800 * _NS, "D": 86400 * _NS, "h": 3600 * _NS, "m": 60 * _NS, "s": _NS}
_NS_OF_UNIT |= {"ms": 10**6, "us": 10**3, "ns": 1}


class NoForm(TypeError):
    """JSON has nothing for a value of this type."""


def form(value: Any) -> Any:
    """One level of a value's JSON form: what is in it may need a form as well.

    Raises:
        NoForm: its type has none; anything that the value's own methods raise.
    """
    if not isinstance(value, type):
        for is_it, make in _FORMS:
            if is_it(value):
                return make(value)
    raise NoForm(f"{type(value).__qualname__} is not JSON")


def has_form(value: Any) -> bool:
    """Whether values of its type have a JSON form; a proxy that stands for nothing yet, and so raises, has none."""
    try:
        return not isinstance(value, type) and any(is_it(value) for is_it, _ in _FORMS)
    except Exception:  # noqa: BLE001 - whatever an object of somebody's raises
        return False


def is_dataclass(value: Any) -> bool:
    """Whether it is an object, not a class, with the fields of a dataclass."""
    return hasattr(type(value), "__dataclass_fields__")


def is_array(value: Any) -> bool:
    """Whether it is a numpy array or scalar, or looks like one: a pandas Series, a tensor."""
    return hasattr(type(value), "dtype") and hasattr(type(value), "tolist")


def kind_of(value: Any) -> str:
    """The kind of numbers in an array or a scalar of numpy's, "" of anything else."""
    return str(getattr(getattr(value, "dtype", None), "kind", ""))


def _has(*names: str) -> Callable[[Any], bool]:
    """Whether the type has these methods: an object with a `__getattr__` may claim to have any."""
    return lambda value: all(hasattr(type(value), name) for name in names)


def _is(*types: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types)


def _named(*names: str) -> Callable[[Any], bool]:
    """Whether the type, or one that it derives from, has one of these names."""
    wanted = frozenset(names)
    return lambda value: any(f"{base.__module__}.{base.__qualname__}" in wanted for base in type(value).__mro__)


def _order(item: Any) -> str:
    try:
        return repr(item)
    except Exception:  # noqa: BLE001 - a __repr__ may raise anything
        return type(item).__qualname__


def _fields(value: Any) -> dict[str, Any]:
    return _attributes(value, [field.name for field in dataclasses.fields(value)])


def _attributes(value: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def _model(value: Any) -> Any:
    """The content of a pydantic model, or of a client library's response object."""
    kind = type(value)
    fields = getattr(kind, "model_fields", None)
    if not any(map(_is_iterator, getattr(value, "__dict__", {}).values())):
        try:
            return _complete(value.model_dump(mode="json"), value)
        except Exception:  # one odd value is enough
            if not isinstance(fields, Mapping):
                raise
    if getattr(kind, "__pydantic_root_model__", False):
        return value.root
    names = [*(fields or ()), *kind.model_computed_fields, *(value.model_extra or ())]
    return {key: item for name in names for key, item in _model_field(value, name).items()}


def _complete(written: Any, model: Any) -> Any:
    """What a model wrote, with what it left out by the types that its fields say: fields of derived models, NaN."""
    if not isinstance(getattr(type(model), "model_fields", None), Mapping):  # a response object of another sort
        return written
    return _filled(written, model.model_dump(mode="python", serialize_as_any=True))


def _filled(written: Any, held: Any) -> Any:
    """JSON that pydantic wrote, beside the same values as they are held."""
    if isinstance(written, Mapping) and isinstance(held, Mapping):
        if len(written) == len(held):  # the keys are in one order, and may be texts of others
            pairs = zip(written.items(), held.values(), strict=True)
            return {name: _filled(item, other) for (name, item), other in pairs}
        if written.keys() <= held.keys():
            return {name: _filled(written[name], item) if name in written else item for name, item in held.items()}
        return held  # two of its keys are one in JSON
    if isinstance(written, list) and isinstance(held, list | tuple) and len(written) == len(held):
        return list(map(_filled, written, held))
    return held if written is None and isinstance(held, float) else written  # NaN, Infinity


class RaisingField:
    """In the place of a model's field that raises when it is asked for; its `repr` says what."""

    def __init__(self, error: Exception) -> None:
        self._text = f"<{type(error).__name__}: {error}>"

    def __repr__(self) -> str:
        """The error."""
        return self._text


def _model_field(value: Any, name: str) -> dict[str, Any]:
    """One field of a model as the model writes it, as it is where the model cannot."""
    try:
        item = getattr(value, name)
    except Exception as error:  # noqa: BLE001 - a computed field may raise anything
        return {name: RaisingField(error)}
    if _is_iterator(item):  # written, it would be used up
        return {name: item}
    try:
        written: dict[str, Any] = value.model_dump(mode="json", include={name})
    except Exception:  # noqa: BLE001 - the odd one; it may have a form all the same
        return {name: item}
    held = value.model_dump(mode="python", serialize_as_any=True, include={name})
    filled: dict[str, Any] = _filled(written, held)
    return filled


def _is_iterator(value: Any) -> bool:
    return hasattr(type(value), "__next__")


def _decimal(value: Decimal) -> int | float | str:
    """A number, where the number that JSON's readers make of it is the same; else its digits as text."""
    if not value.is_finite():
        return float(value)
    if value == value.to_integral_value() and value.as_tuple().exponent in range(20):
        return int(value) if -(2**63) <= value < 2**64 else str(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def _duration(value: datetime.timedelta) -> str:
    nanoseconds = getattr(value, "nanoseconds", 0)  # pandas'
    return _iso_duration(((value.days * 86400 + value.seconds) * 10**6 + value.microseconds) * 1000 + nanoseconds)


def _iso_duration(nanoseconds: int) -> str:
    """ISO 8601, as pydantic writes it: ``P1DT2H``, ``PT0.5S``."""
    sign, rest = ("-" if nanoseconds < 0 else ""), abs(nanoseconds)
    seconds, rest = divmod(rest, _NS)
    days, seconds = divmod(seconds, 86400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    parts = [(hours, "H"), (minutes, "M")]
    time = "".join(f"{number}{unit}" for number, unit in parts if number)
    time += f"{seconds}{fraction}S" if seconds or fraction else ""
    return f"{sign}P{f'{days}D' if days else ''}{f'T{time}' if time else ''}" if days or time else "PT0S"


def _pattern(value: re.Pattern[Any]) -> Any:
    if not isinstance(value.pattern, str):
        raise NoForm("a pattern of bytes is not JSON")
    flags = "".join(_LETTERS.get(flag, "") for flag in re.RegexFlag(value.flags))
    return f"(?{flags}){value.pattern}" if flags else value.pattern


def _match(value: re.Match[Any]) -> dict[str, Any]:
    return {"match": value.group(), "span": value.span(), "groups": value.groups()}


def _error(value: BaseException) -> str:
    parts = [type(value).__name__, str(value)]
    if isinstance(value, BaseExceptionGroup):
        parts.append("; ".join(map(_error, value.exceptions)))
    return ": ".join(filter(None, parts))


def _response(value: Any) -> dict[str, Any]:
    """An HTTP response of httpx or requests; whether it says "failed" is the evaluators' to judge."""
    try:
        body = value.content
    except RuntimeError:  # httpx's
        raise Unread("was not read; read it before its client is closed") from None
    try:
        url = str(value.url)
    except RuntimeError:  # httpx's, of one that nobody asked for
        url = ""
    return {
        "status_code": value.status_code,
        "url": url,
        "headers": dict(value.headers),
        "content": _body(body, value.encoding or "utf-8"),
    }


def _body(body: bytes, encoding: str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return body.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return body


def _markup(value: Any) -> str:
    name = "lxml.etree" if type(value).__module__.startswith("lxml") else "xml.etree.ElementTree"
    return str(importlib.import_module(name).tostring(value, encoding="unicode"))


def _image(value: Any) -> str:
    return f"data:image/png;base64,{base64.b64encode(value._repr_png_()).decode()}"


def _protobuf(value: Any) -> Any:
    json_format = importlib.import_module("google.protobuf.json_format")
    return json_format.MessageToDict(value, preserving_proto_field_name=True)


def _converted(value: Any) -> Any:
    name = next(name for name in _CONVERTERS if hasattr(type(value), name))
    return getattr(value, name)()


def _frame(value: Any) -> Any:
    """A DataFrame as records; an index that says more than a row's number is a column of them."""
    index = value.index
    levels = [] if _only_counts(index) else list(range(index.nlevels))
    labels = ["index" if index.names[n] is None else index.names[n] for n in levels] + list(value.columns)
    columns = [_cells(index.get_level_values(n)) for n in levels]
    columns += [_cells(value.iloc[:, n]) for n in range(len(value.columns))]
    rows = list(zip(*columns, strict=True)) if columns else [()] * len(value)
    names = _names(labels)
    if names is None:
        return {"columns": labels, "data": rows}
    return [dict(zip(names, row, strict=True)) for row in rows]


def _series(value: Any) -> Any:
    """A Series as a list; as an object where its index says more than a row's number."""
    values, labels = _cells(value), _cells(value.index)
    if _only_counts(value.index):
        return values
    names = _names(labels)
    return {"index": labels, "data": values} if names is None else dict(zip(names, values, strict=True))


def _cells(column: Any) -> list[Any]:
    """A column's values; among others than numbers, NaN is pandas' way to say that there is none."""
    values: list[Any] = column.tolist()
    if kind_of(column) == "f":
        return values
    return [None if isinstance(value, float) and value != value else value for value in values]


def _only_counts(index: Any) -> bool:
    return index.name is None and index.nlevels == 1 and kind_of(index) in {"i", "u"}


def _names(labels: Sequence[Any]) -> list[str] | None:
    """The labels as keys; ``None`` where two would be one, or where they have several levels."""
    names = [label if isinstance(label, str) else str(label) for label in labels]
    return None if len(set(names)) < len(names) or any(isinstance(label, tuple) for label in labels) else names


def _array(value: Any) -> Any:
    """A numpy array or scalar, or a tensor, with numbers as short as they are written in their own precision."""
    kind, is_scalar = kind_of(value), getattr(value, "shape", ()) == ()
    if kind == "V" and value.dtype.names:  # rows with named fields
        return {name: value[()][name] for name in value.dtype.names} if is_scalar else list(value)
    if kind in {"c", "M", "m"}:
        return {"c": _complex, "M": _time, "m": _length}[kind](value) if is_scalar else list(value)
    if kind != "f" or hasattr(value, "mask"):
        return value.tolist()
    if value.dtype.itemsize > 8:
        return _longdouble(value) if is_scalar else list(value)
    return _shortest(_written(value), value.tolist())


def _longdouble(value: Any) -> float | str:
    return float(value) if float(value) == value or value != value else str(value)


def _complex(value: Any) -> str:
    return str(complex(value)).strip("()")


def _time(value: Any) -> Any:
    """A time of numpy's. NaT is not equal to itself, as NaN is not."""
    return None if value != value else _written(value) or str(value)


def _length(value: Any) -> Any:
    """A duration of numpy's; months and years have no length."""
    if value != value:
        return None
    step, unit = re.fullmatch(r".*?(?:\[(\d*)(\w+)\])?", value.dtype.str).groups("")  # type: ignore[union-attr]
    each = _NS_OF_UNIT.get(unit)
    return str(value) if each is None else _iso_duration(int(value.astype("i8")) * int(step or 1) * each)


def _written(value: Any) -> Any:
    try:
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
    except orjson.JSONEncodeError:  # not contiguous, or of a class of its own
        return None


def _shortest(written: Any, values: Any) -> Any:
    """The written numbers, with NaN and Infinity where those are null."""
    if written is None:
        return values
    return list(map(_shortest, written, values)) if isinstance(values, list) else written


_FORMS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (lambda value: type(value).__name__ in _MISSING, lambda _: None),  # pandas'
    (_is(Enum), lambda value: value.value),
    (_has("model_dump"), _model),
    (is_dataclass, _fields),
    (_is(Mapping), dict),
    (_is(MappingView), list),
    (_is(Set), lambda value: sorted(value, key=_order)),
    (_is(datetime.timedelta), _duration),
    (_has("isoformat"), lambda value: value.isoformat()),
    (_is(UserString, PurePath, Fraction), str),
    (_is(Decimal), _decimal),
    (_is(float), float),  # a subclass
    (_is(complex), _complex),
    (_has("iloc", "columns"), _frame),
    (_has("iloc", "tolist"), _series),
    (is_array, _array),
    (_is(memoryview), bytes),
    (lambda value: isinstance(value, Sequence) and not isinstance(value, bytes | bytearray), list),
    (_named("types.SimpleNamespace", "argparse.Namespace", "optparse.Values"), lambda value: dict(vars(value))),
    (_has("__attrs_attrs__"), lambda value: _attributes(value, [each.name for each in value.__attrs_attrs__])),
    (_has("__struct_fields__"), lambda value: _attributes(value, value.__struct_fields__)),  # msgspec's
    (_has("__fields__", "parse_obj"), lambda value: _attributes(value, value.__fields__)),  # pydantic's before 2
    (_is(re.Pattern), _pattern),
    (_is(re.Match), _match),
    (_is(BaseException), _error),
    (_named(*_AS_TEXT), str),
    (_named("httpx.Response", "httpx2.Response", "requests.models.Response"), _response),
    (_named("xml.etree.ElementTree.Element", "lxml.etree._Element"), _markup),
    (_named("google.protobuf.message.Message"), _protobuf),
    (_has("_repr_png_"), _image),  # Pillow's
    (_has("__geo_interface__"), lambda value: value.__geo_interface__),  # shapely's
    (lambda value: any(hasattr(type(value), name) for name in _CONVERTERS), _converted),  # polars, Arrow, scipy
)
