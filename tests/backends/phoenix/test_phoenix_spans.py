"""Production traces in Phoenix, as a table, and as datasets that are linked to them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pandas as pd
import pytest
from phoenix.client import Client as PhoenixClient

from prefect_experiments import AsyncClient, Client
from prefect_experiments.backends.phoenix import api
from prefect_experiments.errors import InvalidInput, InvalidSetting, NotFound
from support.patience import PATIENCE_S, http, wait_for

START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
KINDS = ["LLM", "CHAIN", "TOOL"]
SPANS = 12


def span(n: int, trace: str, parent: str | None) -> dict[str, Any]:
    return {
        "name": f"span {n}",
        "context": {"trace_id": trace, "span_id": uuid.uuid4().hex[:16]},
        "span_kind": KINDS[n % 3],
        "parent_id": parent,
        "start_time": (START + timedelta(minutes=n)).isoformat(),
        "end_time": (START + timedelta(minutes=n, seconds=2)).isoformat(),
        "status_code": "ERROR" if n == 4 else "OK" if n % 2 else "UNSET",
        "status_message": "broken" if n == 4 else "",
        "attributes": {
            "input.value": f"question {n} 日本",
            "output.value": f"answer {n}",
            "user.id": f"u-{n % 2}",
            "llm.token_count.total": n,
            "flag": n % 2 == 0,
            "digits": "007",
            "share": n / 4,
            **({"only.here": ["a", "b"]} if n == 3 else {}),
        },
        "events": [{"name": "said", "timestamp": START.isoformat(), "attributes": {"text": "hi"}}] if n == 4 else [],
    }


@pytest.fixture(scope="module")
def traced(phoenix_url: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A project of its own, and its spans: 0 to 11, one a minute, each but the first a child of the one before."""
    project = f"test-{uuid.uuid4().hex[:12]}"
    spans: list[dict[str, Any]] = []
    trace = uuid.uuid4().hex
    for n in range(SPANS):
        spans.append(span(n, trace, spans[-1]["context"]["span_id"] if spans else None))
    with httpx.Client(base_url=phoenix_url, timeout=PATIENCE_S) as http:
        http.post(f"/v1/projects/{project}/spans", json={"data": spans}).raise_for_status()

        def all_there() -> bool:
            answer = http.get(f"/v1/projects/{project}/spans", params={"limit": 100})
            return answer.status_code == 200 and len(answer.json()["data"]) == SPANS

        wait_for(all_there, "the spans, which are queued there")
        yield project, spans
        http.delete(f"/v1/projects/{project}")


def numbers(frame: pd.DataFrame) -> list[int]:
    return [int(name.removeprefix("span ")) for name in frame["name"]]


def test_the_table(client: Client, official: PhoenixClient, traced: tuple[str, list[dict[str, Any]]]) -> None:
    project, spans = traced
    frame = client.spans.get_spans_dataframe(project_identifier=project)
    assert numbers(frame) == list(range(SPANS))[::-1]
    told = {row["context"]["span_id"]: row for row in official.spans.get_spans(project_identifier=project)}
    assert frame.index.tolist() == frame["context.span_id"].tolist()
    assert set(frame.index) == set(told)
    for span_id, row in frame.iterrows():
        theirs = told[str(span_id)]
        assert [row[name] for name in ("name", "span_kind", "parent_id", "status_code", "status_message")] == [
            theirs.get(name) for name in ("name", "span_kind", "parent_id", "status_code", "status_message")
        ]
        assert row["context.trace_id"] == theirs["context"]["trace_id"]
        assert row["start_time"].to_pydatetime() == datetime.fromisoformat(theirs["start_time"])
        assert row["end_time"].to_pydatetime() == datetime.fromisoformat(theirs["end_time"])
        ours = {
            name.removeprefix("attributes."): value
            for name, value in row.items()
            if str(name).startswith("attributes.") and value is not None
        }
        assert ours == theirs["attributes"]
    failed = frame[frame["status_code"] == "ERROR"].iloc[0]
    assert failed["events"][0]["attributes"] == {"text": "hi"}
    first = frame.iloc[-1]
    assert (first["attributes.input.value"], first["attributes.llm.token_count.total"]) == ("question 0 日本", 0)
    assert spans[0]["context"]["span_id"] == first["context.span_id"]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"limit": 3}, [11, 10, 9]),
        ({"start_time": START + timedelta(minutes=9)}, [11, 10, 9]),
        ({"end_time": START + timedelta(minutes=2)}, [1, 0]),
        ({"start_time": (START + timedelta(minutes=9)).replace(tzinfo=None)}, [11, 10, 9]),
        (
            {
                "start_time": (START + timedelta(minutes=1)).astimezone(timezone(timedelta(hours=9))),
                "end_time": START + timedelta(minutes=3),
            },
            [2, 1],
        ),
        ({"span_kind": "llm"}, [9, 6, 3, 0]),
        ({"span_kind": ["LLM", "TOOL"], "limit": 2}, [11, 9]),
        ({"status_code": "ERROR"}, [4]),
        ({"status_code": ["error", "unset"], "limit": 3}, [10, 8, 6]),
        ({"root_spans_only": True}, [0]),
        ({"attributes": {"user.id": "u-1"}, "limit": 2}, [11, 9]),
        ({"attributes": {"llm.token_count.total": 7}}, [7]),
        ({"attributes": {"flag": True, "share": 0.5}}, [2]),
        ({"attributes": {"digits": "007"}, "limit": 1}, [11]),
        ({"attributes": {"digits": 7}}, []),
        ({"attributes": {"user.id": "u-1"}, "span_kind": "TOOL", "start_time": START + timedelta(minutes=6)}, [11]),
        ({"attributes": {"user.id": "nobody"}}, []),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_filters(
    client: Client, traced: tuple[str, list[dict[str, Any]]], filters: dict[str, Any], wanted: list[int]
) -> None:
    frame = client.spans.get_spans_dataframe(project_identifier=traced[0], **filters)
    assert numbers(frame) == wanted


def test_more_than_a_page(
    client: Client, traced: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "RUNS_PAGE", 5)
    for limit, count in ((11, 11), (12, 12), (1000, 12), (5, 5), (6, 6)):
        frame = client.spans.get_spans_dataframe(project_identifier=traced[0], limit=limit)
        assert numbers(frame) == list(range(SPANS))[::-1][:count]


def test_projects_that_are_empty_or_unknown(client: Client, local: Client, name: str, phoenix_url: str) -> None:
    made = http.post(f"{phoenix_url}/v1/projects", json={"name": name}).raise_for_status().json()["data"]
    for key in (name, made["id"]):
        frame = client.spans.get_spans_dataframe(project_identifier=key)
        assert len(frame) == 0
        assert {"name", "span_kind", "start_time", "context.span_id"} <= set(frame.columns)
    with pytest.raises(NotFound, match=f"{name}-not"):
        client.spans.get_spans_dataframe(project_identifier=f"{name}-not")
    for limit in (0, -1, True, 1.5):
        with pytest.raises(InvalidInput, match="limit must be a whole number of at least 1, got"):
            client.spans.get_spans_dataframe(project_identifier=name, limit=limit)  # type: ignore[arg-type]
    for filters, said in (({"span_kind": "nonsense"}, "NONSENSE"), ({"attributes": {"a": [1]}}, "attribute")):
        with pytest.raises(InvalidInput, match=said):
            client.spans.get_spans_dataframe(project_identifier=name, **filters)  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match="keeps no traces"):
        local.spans.get_spans_dataframe(project_identifier=name)
    httpx.delete(f"{phoenix_url}/v1/projects/{name}")


@pytest.mark.thorough
def test_a_dataset_of_production_traces(
    client: Client, official: PhoenixClient, traced: tuple[str, list[dict[str, Any]]], name: str
) -> None:
    project, spans = traced
    frame = client.spans.get_spans_dataframe(project_identifier=project, span_kind="LLM")
    made = client.datasets.create_dataset(
        name=name,
        dataframe=frame,
        input_keys=["attributes.input.value"],
        output_keys=["attributes.output.value"],
        metadata_keys=["name", "attributes.user.id", "start_time", "attributes.only.here"],
    )
    told = official.datasets.get_dataset(dataset=name).examples
    for n, ours, theirs in zip((9, 6, 3, 0), made.examples, told, strict=True):
        assert theirs["source"]["span_id"] == ours.span_id == spans[n]["context"]["span_id"]  # type: ignore[typeddict-item]
        assert ours.input == theirs["input"] == {"attributes.input.value": f"question {n} 日本"}
        assert ours.output == theirs["output"] == {"attributes.output.value": f"answer {n}"}
        assert ours.metadata == theirs["metadata"]
        assert ours.metadata["attributes.user.id"] == f"u-{n % 2}"
        assert datetime.fromisoformat(ours.metadata["start_time"]) == START + timedelta(minutes=n)
        assert ours.metadata["attributes.only.here"] == (["a", "b"] if n == 3 else None)

    def answer(dataset_row: Any) -> str:
        return str(dataset_row["attributes.input.value"]).replace("question", "answer").removesuffix(" 日本")

    def same(output: str, expected: Any) -> bool:
        return bool(output == expected["attributes.output.value"])

    ran = client.experiments.run_experiment(dataset=name, task=answer, evaluators=same, print_summary=False)
    assert ran.summary.metrics["same"].mean == 1
    longer = client.datasets.add_examples_to_dataset(
        dataset=name,
        dataframe=client.spans.get_spans_dataframe(project_identifier=project, span_kind="TOOL"),
        input_keys=["attributes.input.value"],
        output_keys=["attributes.output.value"],
    )
    assert [e.span_id for e in longer.examples][4:] == [spans[n]["context"]["span_id"] for n in (11, 8, 5, 2)]
    changed = client.datasets.update_examples(
        dataset=name, examples=[{"id": made.examples[0].id, "input": {"attributes.input.value": "changed"}}]
    )
    assert [e.span_id for e in changed.examples] == [e.span_id for e in longer.examples]


def test_a_span_id_under_another_name(
    client: Client, official: PhoenixClient, traced: tuple[str, list[dict[str, Any]]], name: str
) -> None:
    spans = traced[1]
    known = spans[5]["context"]["span_id"]
    frame = pd.DataFrame({"q": ["a", "b", "c"], "from": [known, None, "0" * 16]})
    made = client.datasets.create_dataset(name=name, dataframe=frame, input_keys=["q"], span_id_key="from")
    told = official.datasets.get_dataset(dataset=name).examples
    linked = [(e.get("source") or {}).get("span_id") for e in told]
    assert linked == [e.span_id for e in made.examples] == [known, None, None]


def test_awaited(
    traced: tuple[str, list[dict[str, Any]]], name: str, phoenix_url: str, store_url: str, official: PhoenixClient
) -> None:
    async def go() -> int:
        client = AsyncClient(backend="phoenix", base_url=phoenix_url, store_url=store_url)
        frame = await client.spans.get_spans_dataframe(project_identifier=traced[0], limit=2)
        made = await client.datasets.create_dataset(name=name, dataframe=frame, input_keys=["attributes.input.value"])
        return len(made)

    assert asyncio.run(go()) == 2
    assert len(official.datasets.get_dataset(dataset=name)) == 2
