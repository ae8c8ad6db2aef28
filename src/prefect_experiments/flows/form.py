"""What a deployed flow asks for in Prefect's form: the essential fields, and one group, closed at first, with the rest.

Prefect's form shows a field that may be empty as a row with a switch, and what is in it only to who turns the switch.
So everything but the essential is in one such field, `options`. The flow takes each of these parameters directly as
well, as deployments have them that were made before there was the group.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from prefect import Flow, flow
from prefect.utilities.callables import parameter_docstrings, parameter_schema
from prefect.utilities.hashing import file_hash
from pydantic import BaseModel, Field, create_model

from prefect_experiments.blocks import CallOptions
from prefect_experiments.orchestration.deployed.parameters import CallLimits, Form, run_name

OPTIONS = "options"
_WORDS = f"{OPTIONS}: Everything else. What is set in it goes before what the deployment has set outside of it."
Function = Callable[..., Awaitable[Any]]


def deployed(name: str, *, called: str, shown: tuple[str, ...]) -> Callable[[Function], Flow[..., Any]]:
    """A flow whose form shows some of its parameters at once, and the others in a group.

    Args:
        name: the flow's.
        called: what its runs are called, made of its parameters, such as ``"{task} on {dataset}"``.
        shown: the parameters that are shown at once, in this order.
    """

    def decorate(function: Function) -> Flow[..., Any]:
        signature = inspect.signature(function, eval_str=True)
        group = _group(signature, parameter_docstrings(inspect.getdoc(function)), shown)

        taken = [*map(_or_block, signature.parameters.values()), _parameter(OPTIONS, group | None)]
        whole = signature.replace(parameters=taken)

        @functools.wraps(function)
        async def run(*given: Any, **named: Any) -> Any:
            arguments = whole.bind(*given, **named).arguments
            options = arguments.pop(OPTIONS, None)
            said = arguments | _set(options)
            return await function(**{name: _of_block(value) for name, value in said.items()})

        run.__signature__ = whole  # type: ignore[attr-defined]
        run.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n    {_WORDS}"
        # No retries: a gate that has failed is a finding. What breaks is run again by Prefect, and goes on where it
        # was.
        made = flow(
            name=name,
            flow_run_name=run_name(called),
            version=file_hash(inspect.getfile(function)),  # as Prefect does, which would take this file here
            retries=0,
            persist_result=False,
        )(run)
        # Deploying makes the form of this signature; a run takes what the function takes.
        asked = [*(signature.parameters[one] for one in shown), taken[-1]]
        made.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in asked]
        )
        made.parameters = parameter_schema(made)
        return made

    return decorate


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)


def _or_block(parameter: inspect.Parameter) -> inspect.Parameter:
    """The parameter, which takes a block with the value as well where there is such a block."""
    return parameter.replace(annotation=CallLimits | CallOptions) if parameter.annotation is CallLimits else parameter


def _of_block(value: Any) -> Any:
    return value.limits if isinstance(value, CallOptions) else value


def _group(signature: inspect.Signature, words: dict[str, str], shown: tuple[str, ...]) -> Any:
    """The form of the parameters that are not shown at once."""
    fields: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if name not in shown:
            position: dict[str, Any] = {"position": len(fields)}  # or a database puts them in an order of its own
            kind, default = parameter.annotation, parameter.default
            if kind is CallLimits:  # closed as well, and kept in Prefect for many deployments
                kind, default = CallLimits | CallOptions | None, None
            fields[name] = (kind, Field(default=default, description=words.get(name), json_schema_extra=position))
    return create_model("Options", __base__=Form, **fields)


def _set(options: BaseModel | None) -> dict[str, Any]:
    """What is set in the group. The form sends every default of a group that was opened, which says nothing."""
    if options is None:
        return {}
    fields = type(options).model_fields
    said = {name: getattr(options, name) for name in fields}
    return {name: value for name, value in said.items() if value != fields[name].default}
