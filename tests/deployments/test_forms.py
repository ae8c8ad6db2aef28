"""The forms of the deployed flows: what they show at once, and what a run takes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from prefect.client.orchestration import get_client
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import ValidationError, validate

from prefect_experiments.blocks import CallOptions
from support.on_prefect import settings_for

FLOWS = ["compare", "curate_dataset", "deployment_evaluation", "log_results", "meta_evaluation", "regression"]
ONE = {"concurrency": 1}


def flow_of(name: str) -> Any:
    return load_flow_from_entrypoint(f"prefect_experiments.flows.{name}.{name}")


@pytest.mark.parametrize("name", [*FLOWS, "worker"])
def test_a_flow_run_that_has_failed_is_not_tried_again_by_prefect_nor_kept(name: str) -> None:
    found = flow_of(name)
    assert (found.name, found.retries, found.persist_result) == (name.replace("_", "-"), 0, False)


@pytest.mark.parametrize("name", FLOWS)
def test_a_form_shows_few_fields_and_one_closed_group_with_the_rest(name: str) -> None:
    found = flow_of(name)
    schema = parameter_schema(found)  # which is what deploying takes
    assert schema.model_dump() == found.parameters.model_dump()
    assert len(schema.properties) <= 11
    options = schema.properties["options"]
    assert options["default"] is None, "it is closed"
    said = "Everything else. What is set in it goes before what the deployment has set outside of it."
    assert options["description"] == said
    assert options["position"] == max(field["position"] for field in schema.properties.values())
    inside = schema.definitions["Options"]["properties"]
    taken = set(found.validate_parameters(dict.fromkeys(schema.required, "x") | lists(schema)))
    assert taken == {*schema.properties, *inside}, "what is in the group can be given directly as well"
    assert [field["position"] for field in inside.values()] == [*range(len(inside))]
    assert all(field["description"] for field in [*inside.values(), *schema.properties.values()])
    assert cloudpickle.loads(cloudpickle.dumps(found)).name == found.name


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["compare", "deployment_evaluation", "log_results", "regression"])
def test_prefect_takes_a_gate_with_required_examples_when_it_deploys(name: str) -> None:
    """Its server drops what is called ``required`` from the schema first, as the parameters may be given later."""
    schema = flow_of(name).parameters.model_dump()
    gate = {"required": {"split": "golden"}, "slices": ["metadata.length"]}
    for how in ({"ignore_required": True}, {}):
        given = dict.fromkeys(schema.get("required", ()), "x")
        given |= {key: [] for key in given if schema["properties"][key].get("type") == "array"}
        validate({**given, "gate": gate}, schema, raise_on_error=True, preprocess=True, **how)
        with pytest.raises(ValidationError, match="requird"):
            validate({**given, "gate": {"requird": 1}}, schema, raise_on_error=True, preprocess=True, **how)


PROMOTING = {"baseline": "tag:baseline", "promote": False, "promote_as": "baseline"}
QUICK = {"n": 20, "fraction": None, "method": "random", "by": None, "seed": 42}
NAMED = {"minLength": 1}
GIVEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "compare": ({"baseline": "tag:baseline", "candidate": "latest"}, {"baseline": NAMED, "candidate": NAMED}),
    "curate_dataset": ({}, {"name": NAMED}),
    "deployment_evaluation": (
        {**PROMOTING, "quick": QUICK, "again": False},
        {
            "model": {"minLength": 1, "maxLength": 100},
            "version": {"minLength": 1, "maxLength": 100},
            **dict.fromkeys(("dataset", "task", "baseline", "promote_as"), NAMED),
        },
    ),
    "log_results": (PROMOTING, dict.fromkeys(("name", "results", "dataset", "baseline", "promote_as"), NAMED)),
    "meta_evaluation": (
        {"experiment": "latest", "ignore_case": False},
        {
            **dict.fromkeys(("evaluator", "human", "dataset"), NAMED),
            "min_kappa": {"minimum": -1, "maximum": 1},
        },
    ),
    "regression": (
        {**PROMOTING, "repetitions": 1, "pooled": 5},
        {
            **dict.fromkeys(("dataset", "task", "baseline", "promote_as"), NAMED),
            "repetitions": {"minimum": 1, "maximum": 1_000_000},
            "pooled": {"minimum": 1, "maximum": 30},
        },
    ),
}


@pytest.mark.parametrize("name", FLOWS)
def test_a_form_says_what_holds_where_nothing_is_set_and_what_can_be_set(name: str) -> None:
    schema = flow_of(name).parameters
    fields = {**schema.properties, **schema.definitions["Options"]["properties"]}
    defaults = {key: field["default"] for key, field in fields.items() if field.get("default") is not None}
    bounds = {key: found for key, field in fields.items() if (found := bounds_of(field))}
    assert (defaults, bounds) == GIVEN[name]


def bounds_of(field: dict[str, Any]) -> dict[str, Any]:
    every = [field, *field.get("anyOf", ())]
    return {key: part[key] for part in every for key in ("minimum", "maximum", "minLength", "maxLength") if key in part}


def lists(schema: Any) -> dict[str, Any]:
    return {name: [] for name in schema.required if schema.properties[name].get("type") == "array"}


@pytest.mark.thorough
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
    with settings_for(prefect_api):
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

    assert [(one.name, one.tags) for one in Client().experiments.list()] == [("said outside", ())], "as nobody said so"


@pytest.mark.thorough
@pytest.mark.mostly_slow(quick=2)
@pytest.mark.parametrize("inside", [True, False], ids=["in the group", "directly"])
@pytest.mark.parametrize("by", ["block_document_id", "block_document_slug"])
def test_a_run_is_taken_that_names_a_saved_block(
    inside: bool, by: str, prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PREFECT_EXPERIMENTS_STORE_URL", f"sqlite:///{tmp_path / 'experiments.db'}")
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("input,output\na,a\nb,b\n")
    Path("app.py").write_text("def task(input):\n    raise ValueError('no')\n")
    found = flow_of("regression")

    async def run() -> Any:
        saved = CallOptions(limits={"concurrency": 1, "retries": 0, "exit_on_error": True})
        block_id = await saved.save(f"stops-{tmp_path.name[-1]}-{by.rpartition('_')[2]}", overwrite=True)
        name = {"block_document_id": str(block_id), "block_document_slug": f"call-options/{saved._block_document_name}"}
        limits = {"limits": {"$ref": {by: name[by]}}}
        parameters = {"dataset": "rows.csv", "task": "app.py:task", "evaluators": ["exact_match"]}
        async with get_client() as client:
            flow_id = await client.create_flow(found)
            deployment_id = await client.create_deployment(
                flow_id, "with a block", parameter_openapi_schema=found.parameters.model_dump(exclude_unset=True)
            )
            # As the form does, and refused by the server where it does not fit the schema.
            asked = await client.create_flow_run_from_deployment(
                deployment_id, parameters=parameters | ({"options": limits} if inside else limits)
            )
        return await found(**asked.parameters, return_state=True)

    with settings_for(prefect_api):
        state = asyncio.run(run())
    assert "exit_on_error is set" in state.message, "as the block says"
