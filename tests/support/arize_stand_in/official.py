"""The official client of Arize AX, in a process of its own: run by the python of .venv-arize, spoken to in JSON lines.

A line in: ``{"code": ..., "values": {...}}``. The code sees the values, ``client``, ``pd``, ``field_names`` and
``result_names``; what it leaves in ``result`` comes back as ``{"result": ...}``, an error as ``{"error": ...}``.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from datetime import datetime
from enum import Enum
from typing import Any

import pandas as pd
from arize import ArizeClient
from arize.experiments.evaluators.types import EvaluationResultFieldNames
from arize.experiments.types import ExperimentTaskFieldNames
from pydantic import BaseModel


def plain(value: Any) -> Any:
    """As JSON: models with every field that they have, frames as their rows."""
    if isinstance(value, pd.DataFrame):
        return plain(value.to_dict(orient="records"))
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields if name != "additional_properties"}
        return plain({**fields, **getattr(value, "additional_properties", {})})
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if hasattr(value, "item"):
        return value.item()
    return value


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what the client prints is not an answer
    client = ArizeClient(**json.loads(sys.argv[1]))
    names = {"client": client, "pd": pd, "field_names": ExperimentTaskFieldNames}
    for line in sys.stdin:
        asked = json.loads(line)
        space: dict[str, Any] = {**names, "result_names": EvaluationResultFieldNames, **asked["values"]}
        try:
            with contextlib.redirect_stdout(sys.stderr):
                exec(asked["code"], space)
            answer = {"result": plain(space.get("result"))}
        except Exception as error:
            body = getattr(error, "body", None)
            answer = {"error": [type(error).__name__, getattr(error, "status", None), f"{error} {body or ''}"]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
