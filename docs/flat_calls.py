"""For mkdocstrings: calls and models with all that they take, as `help` shows them: see `signatures.py`."""

from __future__ import annotations

import inspect
import pydoc
from typing import Any

from griffe import Class, Docstring, Extension, Function, Parameter, ParameterKind, Parameters

from prefect_experiments.options import Options, described

KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: ParameterKind.positional_only,
    inspect.Parameter.POSITIONAL_OR_KEYWORD: ParameterKind.positional_or_keyword,
    inspect.Parameter.VAR_POSITIONAL: ParameterKind.var_positional,
    inspect.Parameter.KEYWORD_ONLY: ParameterKind.keyword_only,
    inspect.Parameter.VAR_KEYWORD: ParameterKind.var_keyword,
}
OPTIONS = {"warn_missing_types": False, "warn_unknown_params": False}


class FlatCalls(Extension):
    """Puts the keywords and the text of a call in place of those of the function that it wraps."""

    def on_function_instance(self, *, func: Function, **_: Any) -> None:
        """For each function that is found."""
        made = pydoc.locate(func.path)
        signature = getattr(made, "__signature__", None)
        if not isinstance(signature, inspect.Signature) or not made.__doc__:
            return
        func.docstring = Docstring(inspect.cleandoc(made.__doc__), parent=func, parser="google", parser_options=OPTIONS)
        func.labels.discard("async")
        func.parameters = Parameters(*map(_shown, signature.parameters.values()))

    def on_class_instance(self, *, cls: Class, **_: Any) -> None:
        """For each class: the fields of a model have their text below them."""
        made = pydoc.locate(cls.path)
        if not isinstance(made, type) or not issubclass(made, Options) or not made.__doc__:
            return
        fields = "".join(f"\n    {name}: {text}" for name, text in described(made).items() if text)
        text = f"{inspect.cleandoc(made.__doc__)}\n\nAttributes:{fields}"
        cls.docstring = Docstring(text, parent=cls, parser="google", parser_options=OPTIONS)


def _shown(one: inspect.Parameter) -> Parameter:
    default = None if one.default is inspect.Parameter.empty else repr(one.default)
    annotation = None if one.annotation is inspect.Parameter.empty else str(one.annotation)
    return Parameter(one.name, annotation=annotation, kind=KINDS[one.kind], default=default)
