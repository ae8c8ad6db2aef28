"""The forms of the deployed flows: what they show at once, and what a run takes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from prefect_experiments.blocks import CallOptions

FLOWS = ["compare", "curate_dataset", "deployment_evaluation", "log_results", "meta_evaluation", "regression"]
ONE = {"concurrency": 1}


def flow_of(name: str) -> Any:
    return load_flow_from_entrypoint(f"prefect_experiments.flows.{name}.{name}")


@pytest.mark.parametrize("name", FLOWS)
def test_a_form_shows_few_fields_and_one_closed_group_with_the_rest(name: str) -> None:
    found = flow_of(name)
    schema = parameter_schema(found)  # which is what deploying takes
    assert schema.model_dump() == found.parameters.model_dump()
    assert len(schema.properties) <= 11
    options = schema.properties["options"]
    assert options["default"] is None, "it is closed"
    assert options["position"] == max(field["position"] for field in schema.properties.values())
    inside = schema.definitions["Options"]["properties"]
    taken = set(found.validate_parameters(dict.fromkeys(schema.required, "x") | lists(schema)))
    assert taken == {*schema.properties, *inside}, "what is in the group can be given directly as well"
    assert [field["position"] for field in inside.values()] == [*range(len(inside))]
    assert all(field["description"] for field in [*inside.values(), *schema.properties.values()])
    assert cloudpickle.loads(cloudpickle.dumps(found)).name == found.name


def lists(schema: Any) -> dict[str, Any]:
    return {name: [] for name in schema.required if schema.properties[name].get("type") == "array"}


@pytest.mark.parametrize(
    "limits", [{"concurrency": 1}, CallOptions(limits={"concurrency": 1})], ids=["values", "block"]
)
def test_what_is_set_in_the_group_counts_and_its_defaults_do_not(
    limits: Any, prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'experiments.db'}")
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("input,output\n" + "".join(f"{n},{n}\n" for n in range(8)))
    Path("app.py").write_text(
        "import asyncio\nnow, most = 0, 0\n\nasync def task(input):\n"
        "    global now, most\n    now += 1\n    most = max(most, now)\n    await asyncio.sleep(0.01)\n    now -= 1\n"
        "    return str(most)\n\ndef alone(output):\n    return output == '1'\n"
    )
    state = asyncio.run(
        flow_of("regression")(
            dataset="rows.csv",
            task="app.py:task",
            evaluators=["app.py:alone"],
            experiment_name="said outside",
            report="reports",
            # As the form sends a group that was opened, every default in it.
            options={"limits": limits, "experiment_name": None, "report": "pages", "repetitions": 1},
            return_state=True,
        )
    )
    assert "alone 1.00 over 8 of 8" in state.message
    assert [path.parent.name for path in tmp_path.rglob("*.html")] == ["pages"]
    from prefect_experiments import Client

    assert [one.name for one in Client().experiments.list()] == ["said outside"]
