"""Names to AX's ids, and spans to rows: with an AX that has just what a test says, and lists it a page at a time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson
import pytest

from prefect_experiments.backends.arize.api import ArizeApi, ArizeHttp
from prefect_experiments.backends.arize.spaces import Space, experiment_scope, find_dataset, find_experiment
from prefect_experiments.backends.arize.spans import ArizeSpans
from prefect_experiments.backends.http import Address
from prefect_experiments.errors import AmbiguousName, InvalidInput, InvalidSetting, NotFound
from support.fault_proxy import Answer, FaultProxy, Request


def node(kind: str, number: int) -> str:
    return base64.b64encode(f"{kind}:{number}:x".encode()).decode()


def named(kind: str, *names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"id": node(kind, number), "name": name, **more} for number, name in enumerate(names)]


class Ax:
    """An AX of lists: a name finds what holds it, as there."""

    def __init__(self) -> None:
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self.tags: dict[str, list[str]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.server = FaultProxy("http://127.0.0.1:1", self.answer)

    def answer(self, request: Request) -> Answer:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        _, _, kind, *rest = map(unquote, parts.path.split("/"))
        self.asked.append((parts.path, query))
        if rest and rest[-1] == "tags":
            return self.said({"tags": [{"id": f"T-{tag}", "name": tag} for tag in self.tags.get(rest[0], ())]})
        every = self.lists.get(kind, [])
        if rest:
            found = [row for row in every if row["id"] == rest[0]]
            return self.said(found[0]) if found else Answer(404, b"no such thing", {"content-type": "application/json"})
        rows = [row for row in every if query.get("name", "") in str(row.get("name"))]
        rows = [row for row in rows if query.get("dataset_id") in (None, row.get("dataset_id"))]
        start, limit = int(query.get("cursor", 0)), int(query["limit"])
        more = start + limit < len(rows)
        pagination = {"has_more": more, "next_cursor": str(start + limit) if more else None}
        return self.said({kind: rows[start : start + limit], "pagination": pagination})

    def said(self, value: Any) -> Answer:
        return Answer(200, orjson.dumps(value), {"content-type": "application/json"})


@pytest.fixture
def ax() -> Iterator[Ax]:
    found = Ax()
    with found.server:
        yield found


def ask(ax: Ax, do: Callable[[ArizeApi, Space], Coroutine[Any, Any, Any]], space: str | None = None) -> Any:
    api = ArizeApi(ArizeHttp(Address("Arize AX", ax.server.url)))
    return asyncio.run(do(api, Space(api, space)))


MANY = [f"n{number:02}" for number in range(25)]
TWENTY = ", ".join(MANY[:20])


@pytest.mark.parametrize(
    ("do", "kind", "what"),
    [
        (lambda api, space: space.id(), "spaces", "space"),
        (lambda api, space: find_dataset(api, space, "zz"), "datasets", "dataset"),
        (lambda api, space: find_experiment(api, space, "zz", None), "experiments", "experiment"),
        (lambda api, space: ArizeSpans(api, space)._project("zz"), "projects", "project"),
    ],
)
def test_what_is_not_there_is_said_with_twenty_that_are(ax: Ax, do: Any, kind: str, what: str) -> None:
    ax.lists = {kind: named(kind, *MANY)}
    known = TWENTY if kind != "projects" else "none"  # those whose names hold it are all that is asked for
    with pytest.raises(NotFound) as refused:
        ask(ax, do, space="zz" if kind == "spaces" else None)
    assert str(refused.value) == f"Arize AX at {ax.server.url}: unknown {what} 'zz'. Known: {known}"


def test_a_space_is_found_by_its_exact_name_once(ax: Ax) -> None:
    ax.lists = {"spaces": named("Space", "mine", "mine too")}

    async def twice(api: ArizeApi, space: Space) -> Any:
        return await space.id(), await space.required(), len(ax.asked)

    assert ask(ax, twice, "mine") == (node("Space", 0), node("Space", 0), 1)
    assert ask(ax, twice, node("Space", 9)) == (node("Space", 9), node("Space", 9), 1), "an id is not asked for"
    ax.lists["spaces"] += named("Space", "mine")
    with pytest.raises(AmbiguousName, match=r"2 spaces are called 'mine'; name one by its id: "):
        ask(ax, twice, "mine")


def test_the_only_space_need_not_be_said(ax: Ax) -> None:
    async def required(api: ArizeApi, space: Space) -> Any:
        return await space.id(), await space.required(), await space.id()

    ax.lists = {"spaces": named("Space", "only")}
    assert ask(ax, required) == (None, node("Space", 0), node("Space", 0))
    which = "which space of Arize AX? Pass space= or set ARIZE_SPACE_ID; there are"
    for names, listed in ((MANY, ", ".join(map(repr, MANY[:10]))), ([], "none that the key may see")):
        ax.lists = {"spaces": named("Space", *names)}
        with pytest.raises(InvalidSetting) as refused:
            ask(ax, required)
        assert str(refused.value) == f"{which} {listed}"


def test_datasets_by_id_and_by_exact_name(ax: Ax) -> None:
    ax.lists = {"datasets": named("Dataset", "mine too", "mine")}
    for key in ("mine", node("Dataset", 1)):
        assert ask(ax, lambda api, space, key=key: find_dataset(api, space, key))["name"] == "mine"
    ax.lists["datasets"] += named("Dataset", "mine")
    with pytest.raises(AmbiguousName, match="2 datasets are called 'mine', in different spaces; say space=; name one"):
        ask(ax, lambda api, space: find_dataset(api, space, "mine"))
    with pytest.raises(InvalidInput, match="this experiment of Arize AX belongs to no dataset"):
        ask(ax, lambda api, space: find_dataset(api, space, ""))


def test_experiments_by_id_name_newest_and_tag(ax: Ax) -> None:
    one, two = node("Dataset", 0), node("Dataset", 1)
    ax.lists = {
        "datasets": named("Dataset", "one", "two"),
        "experiments": [
            {"id": node("Experiment", number), "name": name, "dataset_id": dataset}
            for number, (name, dataset) in enumerate([("c", two), ("a", one), ("a too", one), ("a", two), ("b", one)])
        ],
    }
    ax.tags = {node("Experiment", 4): ["best", "old"], node("Experiment", 2): ["old"]}

    def found(key: str, dataset: str | None = None) -> int:
        row = ask(ax, lambda api, space: find_experiment(api, space, key, dataset))
        return [each["id"] for each in ax.lists["experiments"]].index(row["id"])

    assert [found(node("Experiment", 3)), found("b"), found("a", "one"), found("a", "two")] == [3, 4, 1, 3]
    assert [found("latest"), found("latest", "one"), found("latest:a"), found("latest:a", "two")] == [0, 1, 1, 3]
    assert [found("latest:two"), found("latest:one"), found("tag:best")] == [0, 1, 4]
    with pytest.raises(AmbiguousName) as several:
        found("a")
    assert str(several.value) == (
        f"2 experiments are called 'a'; name one by its id: {node('Experiment', 1)}, {node('Experiment', 3)}, or the "
        "newest of them as 'latest:a'"
    )
    with pytest.raises(AmbiguousName, match="2 experiments have the tag 'old', on different datasets; say dataset="):
        found("tag:old")
    with pytest.raises(NotFound, match="no experiment has the tag 'new'; give one with `tag`"):
        found("tag:new")
    with pytest.raises(NotFound, match="unknown experiment 'latest:zz'"):
        found("latest:zz")


def test_experiments_are_looked_for_in_a_dataset_or_a_space_or_everywhere(ax: Ax) -> None:
    ax.lists = {"datasets": named("Dataset", "one"), "spaces": named("Space", "mine")}

    def scope(dataset: str | None, space: str | None) -> Any:
        return ask(ax, lambda api, where: experiment_scope(api, where, dataset), space)

    assert scope("one", "mine") == {"dataset_id": node("Dataset", 0)}
    assert scope(None, "mine") == {"space_id": node("Space", 0)}
    assert scope(None, None) == {"space_id": None}


def test_lists_longer_than_a_page_are_read_to_their_end(ax: Ax) -> None:
    ax.lists = {"datasets": named("Dataset", *(f"d{number}" for number in range(250)))}

    async def lists(api: ArizeApi, _: Space) -> Any:
        some, after = await api.datasets_page(None, 120, None)
        rest, end = await api.datasets_page(None, 130, after)
        return len(await api.datasets()), len(some), len(rest), after, end

    assert ask(ax, lists) == (250, 120, 130, "120", None)
    assert [query["limit"] for _, query in ax.asked] == ["100", "20", "100", "30", "100", "100", "100"]


SPANS = [
    {"name": "root", "kind": "LLM", "status_code": "OK", "context": {"span_id": "s0", "trace_id": "t"},
     "attributes": {"llm": {"model": "m"}, "n": 1}, "start_time": "2026-01-02T00:00:00Z"},
    {"name": "child", "parent_id": "s0", "context": {"span_id": "s1"}},
    {"name": "other", "kind": "TOOL", "status_code": "ERROR", "context": {"span_id": "s2"}, "attributes": {"n": 2}},
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "spans"),
    [
        ({}, ["s0", "s1", "s2"]),
        ({"limit": 2}, ["s0", "s1"]),
        ({"span_kind": "llm"}, ["s0"]),
        ({"span_kind": ["llm", "tool"]}, ["s0", "s2"]),
        ({"span_kind": "unknown"}, ["s1"]),
        ({"status_code": "error"}, ["s2"]),
        ({"status_code": ["ok", "unset"]}, ["s0", "s1"]),
        ({"root_spans_only": True}, ["s0", "s2"]),
        ({"attributes": {"n": 2}}, ["s2"]),
        ({"attributes": {"llm.model": "m", "n": 1}}, ["s0"]),
        ({"attributes": {"llm.model": "m", "n": 2}}, []),
        ({"span_kind": "tool", "status_code": "ok"}, []),
        ({"span_kind": "tool", "limit": 1}, ["s2"]),
    ],
)
def test_spans_that_are_asked_for(ax: Ax, given: dict[str, Any], spans: list[str]) -> None:
    ax.lists = {"spans": SPANS, "projects": named("Project", "mine too", "mine")}
    api = ArizeApi(ArizeHttp(Address("Arize AX", ax.server.url)))
    options: dict[str, Any] = {
        **dict.fromkeys(("start_time", "end_time", "span_kind", "status_code", "attributes")),
        "limit": 10,
        "root_spans_only": False,
        **given,
    }
    frame = ArizeSpans(api, Space(api, None)).frame("mine", **options)
    assert list(frame.index) == spans
    if not given:
        assert list(frame["span_kind"]) == ["LLM", "UNKNOWN", "TOOL"]
        assert list(frame["status_code"]) == ["OK", "UNSET", "ERROR"]
        assert list(frame["attributes.llm.model"]) == ["m", None, None]
        assert list(frame["context.trace_id"]) == ["t", None, None]
        assert str(frame["start_time"].iloc[0]) == "2026-01-02 00:00:00+00:00"


def test_several_projects_of_a_name_are_named_by_ten_of_their_ids(ax: Ax) -> None:
    ax.lists = {"projects": named("Project", *["mine"] * 12)}
    with pytest.raises(AmbiguousName) as several:
        ask(ax, lambda api, space: ArizeSpans(api, space)._project("mine"))
    listed = ", ".join(node("Project", number) for number in range(10))
    assert str(several.value) == f"12 projects are called 'mine'; name one by its id: {listed}"
