"""References that call something: ``package.module:factory('literal', option=3)``.

A reference may come from a form in Prefect's UI, or from a file. So it calls nothing but what says of itself that it
may be called so (`makes_references`), and gives it literals alone: texts, numbers, lists, dicts, ``None``.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from prefect_experiments.callables.code import parsed
from prefect_experiments.errors import InvalidReference

F = TypeVar("F", bound=Callable[..., Any])

_CALL = re.compile(r"(?P<factory>.+?:[^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*(?P<arguments>\(.*\))", re.DOTALL)
_MARK = "__makes_reference__"


def makes_references(function: F) -> F:
    """Decorator: references may call the function, as in ``package.module:function('literal')``.

    It is given whatever literals whoever writes the reference likes. What it leads to by them, such as a file of the
    user's, it checks itself against what is allowed (`allowed`).
    """
    setattr(function, _MARK, True)
    return function


class ReferenceCall(NamedTuple):
    """A reference that calls something.

    Attributes:
        factory: a reference to what is called.
        arguments: as they are written, in brackets.
    """

    factory: str
    arguments: str

    def made_by(self, factory: Any) -> Any:
        """What the factory gives for the arguments.

        Raises:
            InvalidReference: it may not be called so, or does not take such arguments.
        """
        if not callable(factory) or getattr(factory, "__dict__", {}).get(_MARK) is not True:
            raise InvalidReference(
                f"reference {self._shown} is not followed: {self.factory} may not be called by a reference. Only what "
                "is decorated with prefect_experiments.reference_calls.makes_references may; name a function or "
                "an object without brackets otherwise"
            )
        args, kwargs = self._literals()
        try:
            inspect.signature(factory).bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidReference(f"reference {self._shown}: {self.factory}: {error}") from None
        return factory(*args, **kwargs)

    def _literals(self) -> tuple[list[Any], dict[str, Any]]:
        try:
            [statement] = parsed(f"_{self.arguments}").body
            match statement:
                case ast.Expr(value=ast.Call(func=ast.Name(), args=args, keywords=keywords)):
                    given = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in keywords if keyword.arg}
                    if len(given) == len(keywords):  # ** has no name
                        return [ast.literal_eval(argument) for argument in args], given
            why = "it is no call with literals alone"
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
            why = str(getattr(error, "msg", error))
        raise InvalidReference(
            f"reference {self._shown} cannot be read; write literals, as in "
            f"package.module:factory('text', option=3): {why}"
        )

    @property
    def _shown(self) -> str:
        return f"{self.factory + self.arguments!r:.300}"


def reference_call(reference: str) -> ReferenceCall | None:
    """The parts of a reference that calls something; ``None`` of any other text."""
    found = _CALL.fullmatch(reference.strip())
    return None if found is None else ReferenceCall(found["factory"], found["arguments"])
