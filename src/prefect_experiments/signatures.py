"""Functions whose keywords are the fields of a model of `options`.

Type checkers see the model's fields as the function's keywords, and so do `inspect.signature` and `help`. What is
called wrongly is a `TypeError`, as with any function; a value that cannot be is refused by the model.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from prefect_experiments.options import Options, described
from prefect_experiments.syntax import expression_tree

P = ParamSpec("P")
A = TypeVar("A", bound=Options)
S = TypeVar("S")
R = TypeVar("R")


def takes(model: Callable[P, A]) -> Callable[[Callable[[A], R]], Callable[P, R]]:
    """Decorator: the function gets the model, and its callers give the model's fields by name."""

    def decorate(function: Callable[[A], R]) -> Callable[P, R]:
        return _flat(function, model, ())

    return decorate


def method_takes(model: Callable[P, A]) -> Callable[[Callable[[S, A], R]], Callable[Concatenate[S, P], R]]:
    """`takes` for a method."""

    def decorate(function: Callable[[S, A], R]) -> Callable[Concatenate[S, P], R]:
        return _flat(function, model, (inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),))

    return decorate


def _flat(function: Callable[..., Any], model: Any, before: tuple[inspect.Parameter, ...]) -> Callable[..., Any]:
    signature = _signature(function, model, before)

    def bound(args: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, ...]:
        __tracebackhide__ = True  # in what pytest shows of a test that fails
        try:
            signature.bind_partial(*args, **given)  # says first what is misspelled, then what is missing
            signature.bind(*args, **given)
        except TypeError as misfit:
            raise TypeError(f"{function.__name__}: {misfit}") from None
        return (*args, model(**given))

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call(*args: Any, **given: Any) -> Any:
            __tracebackhide__ = True
            return await function(*bound(args, given))
    else:

        @functools.wraps(function)
        def call(*args: Any, **given: Any) -> Any:
            __tracebackhide__ = True
            return function(*bound(args, given))

    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__doc__ = _documented(function.__doc__ or "", model)
    return call


def _signature(function: Any, model: type[Options], before: tuple[inspect.Parameter, ...]) -> inspect.Signature:
    fields = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.is_required() else field.default,
            annotation=_type_as_written(model, name),
        )
        for name, field in model.model_fields.items()
    ]
    return inspect.Signature([*before, *fields], return_annotation=function.__annotations__.get("return"))


def _type_as_written(model: type[Options], name: str) -> str:
    """A field's type in the words of the model, without what is said to pydantic: unions are long when spelled out."""
    return _plain(next(found[name] for b in model.__mro__ if name in (found := vars(b).get("__annotations__", {}))))


@functools.cache
def _plain(written: str) -> str:
    return ast.unparse(_PlainTypes().visit(expression_tree(written)))


class _PlainTypes(ast.NodeTransformer):
    def visit_Subscript(self, node: ast.Subscript) -> Any:
        match node:
            case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[plain, *_])):
                return self.visit(plain)
        return self.generic_visit(node)


def _documented(doc: str, model: type[Options]) -> str:
    """The function's docstring with a section on its parameters before those on what it gives and raises."""
    text = inspect.cleandoc(doc)
    lines = ["Args:", *(f"    {name}: {words}" for name, words in described(model).items())]
    begins = [place for head in ("Returns:", "Raises:") if (place := text.find(f"\n\n{head}")) >= 0]
    end = min(begins, default=len(text))
    return f"{text[:end]}\n\n{chr(10).join(lines)}{text[end:]}\n"
