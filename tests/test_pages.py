"""Pages of lists: what they say in one line, when they are equal, and how they travel in JSON."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from prefect_experiments.models import DatasetInfo, Example, Experiment, ExperimentRun, PendingEvaluation
from prefect_experiments.pages import (
    DatasetList,
    ExampleList,
    ExperimentList,
    ExperimentRunList,
    ListPage,
    Pagination,
    PendingList,
)

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
MORE = Pagination(has_more=True, next_cursor="c")


def example(name: str) -> Example:
    return Example(id=name, input={"q": name}, metadata={"at": [1, None]}, splits=("train",))


DATASET = DatasetInfo(
    id="ds-1", name="d", version_id="v", version_count=2, example_count=3, description=None, metadata={"k": 1},
    created_at=NOON, updated_at=NOON,
)  # fmt: skip
EXPERIMENT = Experiment(id="exp-1", name="e", dataset_id="ds-1", dataset_version_id="v", tags=("t",), created_at=NOON)
RUN = ExperimentRun(
    id="exp-1.0.1", experiment_id="exp-1", example_id="e0", repetition_number=1, output={"a": [1]}, error=None,
    status="ok", start_time=NOON, end_time=NOON, latency_ms=None, total_cost=0.5,
)  # fmt: skip
PENDING = PendingEvaluation(run_id="exp-1.0.1", example_id="e0", repetition_number=1, name="tone", criteria="kind?")
PAGES: list[ListPage[Any]] = [
    DatasetList([DATASET], MORE),
    ExampleList([example("e0"), example("e1")]),
    ExperimentList([EXPERIMENT], MORE),
    ExperimentRunList([RUN]),
    PendingList([PENDING]),
    PendingList([]),
]


def test_of_a_run_that_says_no_more_no_more_is_known() -> None:
    assert (RUN.token_count, RUN.trace_id, RUN.attempts, RUN.metadata) == (None, None, 1, {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: type(page).__name__)
def test_a_page_comes_back_from_json_as_it_was(page: ListPage[Any]) -> None:
    adapter: TypeAdapter[ListPage[Any]] = TypeAdapter(type(page))
    for there in (
        type(page).from_json_text(page.to_json_text()),
        adapter.validate_json(adapter.dump_json(page)),
        adapter.validate_python(page),
    ):
        assert type(there) is type(page)
        assert (there.items, there.pagination) == (page.items, page.pagination)
        assert there == page
        assert there.to_dict() == page.to_dict()
        assert repr(there) == repr(page)
        if page.items:
            assert there.to_df().equals(page.to_df())
        times = [value for item in there for value in item.to_dict().values() if isinstance(value, datetime)]
        assert all(time.tzinfo is UTC for time in times), "pandas takes another UTC for another zone"


def test_a_table_of_its_own_comes_back_with_its_types() -> None:
    made: list[int] = []

    def table() -> pd.DataFrame:
        made.append(1)
        columns = {"n": [1, 2], "x": [0.5, None], "what": ["a", None], "any": [[1], {"a": 2}]}
        return pd.DataFrame(columns, index=["r1", "r2"])

    page = ExampleList([example("e0"), example("e1")], to_df=table)
    for there in (ExampleList.from_json_text(page.to_json_text()), pickle.loads(pickle.dumps(page))):
        made.clear()
        pd.testing.assert_frame_equal(there.to_df(), table())
        assert made == [1], "it is read where it was"
        changed = there.to_df()
        changed.loc["r1", "n"] = 7
        pd.testing.assert_frame_equal(there.to_df(), table())


@pytest.mark.parametrize("text", ["[]", "{}", '"items"', '{"pagination": {}}', "5"])
def test_json_that_holds_no_page_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^this is not what a DatasetList is in JSON$"):
        DatasetList.from_json_text(text)


def test_what_is_neither_a_page_nor_text_is_refused() -> None:
    for given in (5, None, ExampleList([])):
        with pytest.raises(ValidationError, match="a DatasetList, or the text that JSON has of one, is wanted"):
            TypeAdapter(DatasetList).validate_python(given)


def test_pages_are_equal_that_hold_the_same() -> None:
    page = ExampleList([example("e0")])
    assert page == ExampleList([example("e0")], to_df=pd.DataFrame)
    assert page != ExampleList([example("e1")])
    assert page != ExampleList([example("e0")], MORE)
    assert page != [example("e0")]
    assert ExampleList([]) != DatasetList([])
    with pytest.raises(TypeError, match="unhashable"):
        hash(page)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (ExampleList([]), "ExampleList(0 examples, has_more=False)"),
        (ExampleList([], MORE), "ExampleList(0 examples, has_more=True)"),
        (ExampleList([example("e0")]), "ExampleList(1 examples, has_more=False: 'e0')"),
        (ExampleList([example("e0")], MORE), "ExampleList(1 examples, has_more=True: 'e0', …)"),
        (ExampleList([*map(example, "abc")]), "ExampleList(3 examples, has_more=False: 'a', 'b', 'c')"),
        (ExampleList([*map(example, "abcd")]), "ExampleList(4 examples, has_more=False: 'a', 'b', 'c', …)"),
        (DatasetList([DATASET]), "DatasetList(1 datasets, has_more=False: 'd')"),
        (ExperimentRunList([RUN]), "ExperimentRunList(1 experiment_runs, has_more=False: 'exp-1.0.1')"),
        (PendingList([PENDING]), "PendingList(1 pending, has_more=False: 'tone')"),
    ],
    ids=repr,
)
def test_a_page_names_its_first_three(page: ListPage[Any], said: str) -> None:
    assert repr(page) == said


@pytest.mark.parametrize(("page", "name"), [(PAGES[0], "datasets"), (PAGES[2], "experiments"), (PAGES[4], "pending")])
def test_a_page_as_plain_values(page: ListPage[Any], name: str) -> None:
    pagination = {"has_more": page is not PAGES[4], "next_cursor": None if page is PAGES[4] else "c"}
    assert page.to_dict() == {name: [page[0].to_dict()], "pagination": pagination}
    assert getattr(page, name) is page.items
