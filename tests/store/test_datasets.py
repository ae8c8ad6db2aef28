from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_experiments.errors import AlreadyExists, InvalidDataset, InvalidInput, NotFound
from prefect_experiments.models import DatasetInfo, Example
from prefect_experiments.store import Store

from .samples import example, examples, new_experiment, record, run_row, verdict


def ids(store: Store, dataset: str, version: str | None = None) -> list[str]:
    return [found.id for found in store.datasets.get(dataset, version=version)]


def test_create_and_read_back(store: Store) -> None:
    version = store.datasets.create("questions", examples(3), description="d", metadata={"owner": "qa"})
    assert (version.number, version.example_count) == (1, 3)
    found = store.datasets.get("questions")
    assert found.examples == tuple(examples(3))
    assert (found.id, found.version_id) == (version.dataset_id, version.id)
    assert (found.description, found.metadata) == ("d", {"owner": "qa"})
    assert found.created_at is not None
    assert found.created_at.tzinfo is not None


def test_create_refuses_a_name_in_use(store: Store) -> None:
    version = store.datasets.create("questions", examples(3))
    with pytest.raises(
        AlreadyExists,
        match=f"there is a dataset 'questions' already \\({version.dataset_id}\\); choose another name, or add to it",
    ):
        store.datasets.create("questions", examples(1))
    assert len(store.datasets.versions("questions")) == 1


def test_names_that_cannot_be_shown_are_refused(store: Store) -> None:
    for name in ("", "  ", "a\nb", "a\x00b", "x" * 256):
        for write in (store.datasets.create, store.datasets.put):
            with pytest.raises(InvalidInput, match="the dataset's name must be 1 to 255 printable characters"):
                write(name, examples(1))
    assert store.datasets.page()[0] == []
    store.datasets.create("x" * 255, examples(1))


def test_values_come_back_as_they_were(store: Store) -> None:
    odd = [
        example(0, input="plain text", output=None, metadata={}, splits=()),
        example(
            1, input=["a", 1, 1.5, None, True], output="", metadata={"nul": "a\x00b", "emoji": "👩\u200d💻 \u2028"}
        ),
        example(2, input={"": {"deep": [[[]]]}}, output=0, metadata={"big": 2**63 - 1, "small": -1e-300}),
        example(3, id="id with spaces / 名", output=False, splits=("a, b", "ü")),
    ]
    store.datasets.create("odd", odd)
    assert store.datasets.get("odd").examples == tuple(odd)


def test_ids_that_do_not_name_one_example_are_refused(store: Store) -> None:
    store.datasets.create("kept", [example(0)])
    faulty: list[tuple[str, list[Example]]] = [
        (r"example 3 has an id that another one has, too: 'ex-1'", [example(1), example(2), example(1, output=9)]),
        (r"example 2 has no id that can be kept: ''", [example(1), Example(input="no id")]),
        (r"example 1 has no id that can be kept: 'a\\x00b'", [example(1, id="a\x00b")]),
        (r"example 1 has no id that can be kept", [example(1, id="a\udc80")]),
    ]
    for fault, content in faulty:
        with pytest.raises(InvalidDataset, match=fault):
            store.datasets.create("new", content)
        with pytest.raises(InvalidDataset, match=fault):
            store.datasets.put("new", content)
        with pytest.raises(InvalidDataset, match=fault):
            store.datasets.put("kept", content)
        with pytest.raises(InvalidDataset, match=fault):
            store.datasets.append("kept", content)
    assert [info.name for info in store.datasets.page()[0]] == ["kept"]
    assert len(store.datasets.versions("kept")) == 1


def test_metadata_must_be_json(store: Store) -> None:
    with pytest.raises(InvalidInput, match="the dataset's metadata must be a JSON object"):
        store.datasets.create("questions", examples(1), metadata={"a": object()})


def test_put_of_the_same_content_makes_nothing(store: Store) -> None:
    first = store.datasets.put("questions", examples(4))
    assert store.datasets.put("questions", examples(4)) == first
    assert store.datasets.put("questions", list(reversed(examples(4)))) == first
    assert len(store.datasets.versions("questions")) == 1


def test_put_keeps_places_and_old_versions(store: Store) -> None:
    first = store.datasets.put("questions", examples(4))
    changed = [example(5), example(3), example(1, output="changed"), example(0)]  # 1 changed, 2 gone, 5 new
    second = store.datasets.put("questions", changed)
    assert (second.number, second.example_count) == (2, 4)
    assert store.datasets.get("questions").examples == (
        example(0),
        example(1, output="changed"),
        example(3),
        example(5),
    )
    assert [position for position, _, _ in store.datasets.outline(second)] == [0, 1, 3, 4]
    assert store.datasets.get("questions", version=first.id).examples == tuple(examples(4))


def test_what_comes_back_has_its_old_place(store: Store) -> None:
    first = store.datasets.put("questions", examples(4))
    store.datasets.put("questions", [example(3)])
    third = store.datasets.put("questions", examples(4))
    assert third.number == 3
    assert store.datasets.get("questions").examples == tuple(examples(4))
    assert store.datasets.outline(third) == store.datasets.outline(first)


def test_put_can_empty_a_dataset(store: Store) -> None:
    store.datasets.put("questions", examples(2))
    assert store.datasets.put("questions", []).example_count == 0
    assert store.datasets.get("questions").examples == ()
    assert ids(store, "questions", "1") == ["ex-0", "ex-1"]


def test_append(store: Store) -> None:
    first = store.datasets.create("questions", examples(2))
    second = store.datasets.append("questions", [example(7), example(3)])
    assert (second.number, second.example_count) == (2, 4)
    assert ids(store, "questions") == ["ex-0", "ex-1", "ex-7", "ex-3"]
    third = store.datasets.append(first.dataset_id, [example(4)])
    assert ids(store, "questions") == ["ex-0", "ex-1", "ex-7", "ex-3", "ex-4"]
    assert store.datasets.append("questions", []) == third
    assert ids(store, "questions", first.id) == ["ex-0", "ex-1"]


def test_append_refuses_ids_that_are_in_use(store: Store) -> None:
    store.datasets.create("questions", examples(2))
    with pytest.raises(
        InvalidDataset, match="1 of the examples' ids are in the dataset already: ex-1; leave ids out to have them made"
    ):
        store.datasets.append("questions", [example(9), example(1, output="other")])
    assert ids(store, "questions") == ["ex-0", "ex-1"]
    with pytest.raises(NotFound, match="unknown dataset 'question'; did you mean 'questions'"):
        store.datasets.append("question", [example(9)])


def test_get_by_name_id_version_and_splits(store: Store) -> None:
    first = store.datasets.create("questions", examples(6))
    second = store.datasets.append("questions", [example(6)])
    for dataset in ("questions", first.dataset_id):
        assert len(store.datasets.get(dataset)) == 7
        assert len(store.datasets.get(dataset, version=first.id)) == 6
        assert len(store.datasets.get(dataset, version="1")) == 6
        assert store.datasets.version(dataset, "2") == store.datasets.version(dataset) == second
    found = store.datasets.get("questions", splits=["test"])
    assert [e.id for e in found] == ["ex-0", "ex-3", "ex-6"]
    assert found.splits == ("test",)
    assert len(store.datasets.get("questions", splits=["test", "train"])) == 7
    assert list(store.datasets.positions(first)) == list(range(6))


def test_an_id_goes_before_a_name(store: Store) -> None:
    first = store.datasets.create("first", examples(1))
    store.datasets.create(first.dataset_id, examples(5))  # a name that is another one's id
    assert store.datasets.info(first.dataset_id).name == "first"
    record = store.experiments.create("e", first, task=new_experiment(store).task)
    assert [e.id for e in store.experiments.page(dataset=first.dataset_id)[0]] == [record.experiment.id]


def test_what_is_not_there_is_said_with_what_is(store: Store) -> None:
    version = store.datasets.create("questions", examples(2))
    for number in range(30):
        store.datasets.create(f"a-{number:02}", [])
    with pytest.raises(NotFound, match="unknown dataset 'qestions'; did you mean 'questions'"):
        store.datasets.get("qestions")
    with pytest.raises(NotFound, match=rf"unknown dataset version '7'.*1 \({version.id}\)"):
        store.datasets.get("questions", version="7")
    with pytest.raises(InvalidDataset, match="dataset 'questions': unknown split 'tests'; did you mean 'test'"):
        store.datasets.get("questions", splits=["tests"])
    for method in (store.datasets.get, store.datasets.info, store.datasets.versions, store.datasets.delete):
        with pytest.raises(NotFound):
            method("ds-0000000000000000")


def test_of_many_versions_the_newest_ten_are_named(store: Store) -> None:
    for number in range(1, 13):
        store.datasets.put("questions", examples(number))
    with pytest.raises(NotFound) as raised:
        store.datasets.get("questions", version="0")
    assert re.findall(r"(\d+) \(", str(raised.value)) == [str(number) for number in range(12, 2, -1)]


def test_looking_for_text_that_no_database_holds(store: Store) -> None:
    for name in ("a\x00b", "a\udc80b"):
        with pytest.raises((NotFound, InvalidInput)):
            store.datasets.get(name)
        with pytest.raises((NotFound, InvalidInput)):
            store.experiments.get(name)


def every_page(store: Store, limit: int) -> Iterator[list[DatasetInfo]]:
    cursor = None
    while True:
        items, pagination = store.datasets.page(limit=limit, cursor=cursor)
        yield items
        assert pagination.has_more == (pagination.next_cursor is not None)
        if not pagination.has_more:
            return
        cursor = pagination.next_cursor


def test_pages_are_complete_and_newest_first(store: Store) -> None:
    made = [store.datasets.create(f"dataset {number}", examples(number)).dataset_id for number in range(7)]
    for limit in (1, 3, 7, 10):
        pages = list(every_page(store, limit))
        found = [info.id for page in pages for info in page]
        assert found == made[::-1]
        assert all(len(page) == limit for page in pages[:-1])
    info = pages[0][0]
    assert (info.name, info.example_count, info.version_count) == ("dataset 6", 6, 1)


def test_pages_are_stable_while_others_write(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefect_experiments.store.datasets.time.time", lambda: 1.7e9)  # all in one moment, long ago
    made = {store.datasets.create(f"dataset {number}", []).dataset_id for number in range(6)}
    first, pagination = store.datasets.page(limit=3)
    monkeypatch.undo()
    store.datasets.create("later", [])
    store.datasets.delete(first[1].id)
    second, pagination = store.datasets.page(limit=3, cursor=pagination.next_cursor)
    assert {info.id for info in first + second} == made
    assert not pagination.has_more


def test_wrong_cursors_and_limits_are_refused(store: Store) -> None:
    record_ = new_experiment(store)
    record(store, record_.experiment.id, [run_row(0), run_row(1)])
    store.datasets.create("other", [])
    datasets_cursor = store.datasets.page(limit=1)[1].next_cursor
    runs_cursor = store.results.runs(record_.experiment.id, limit=1)[1].next_cursor
    assert datasets_cursor
    assert runs_cursor
    bad = ["", "garbage", "ünï", "W10=", "WzEsMl0", "W251bGwsIG51bGxd", "[" * 4000, "WyJhIiwgImIiXQ==", 5]
    for cursor in [*bad, runs_cursor]:
        with pytest.raises(InvalidInput, match="is not a cursor of this list"):
            store.datasets.page(cursor=cursor)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="is not a cursor of this list"):
            store.experiments.page(cursor=cursor)  # type: ignore[arg-type]
    for cursor in [*bad, datasets_cursor]:
        with pytest.raises(InvalidInput, match="is not a cursor of this list"):
            store.results.runs(record_.experiment.id, limit=1, cursor=cursor)  # type: ignore[arg-type]
    for limit in (0, -1, 1001, True, 1.5, "10", None):
        with pytest.raises(InvalidInput, match="limit must be between 1 and 1000, got "):
            store.datasets.page(limit=limit)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="limit must be between 1 and 1000, got "):
            store.experiments.page(limit=limit)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="limit must be between 1 and 1000, got "):
        store.results.runs(record_.experiment.id, limit=0)


def test_delete_takes_experiments_and_results_along(store: Store) -> None:
    kept = new_experiment(store, dataset="kept")
    gone = new_experiment(store, dataset="gone")
    for experiment_id in (kept.experiment.id, gone.experiment.id):
        record(store, experiment_id, [run_row(0)], [verdict(0)])
        store.experiments.tag(experiment_id, "best")
    store.datasets.append("gone", [example(9)])
    store.datasets.delete("gone")
    assert [info.name for info in store.datasets.page()[0]] == ["kept"]
    with pytest.raises(NotFound):
        store.experiments.get(gone.experiment.id)
    assert store.experiments.get("tag:best").experiment.id == kept.experiment.id
    with store.database.read() as connection:
        for table, rows in {
            "datasets": 1, "dataset_versions": 1, "examples": 3, "experiments": 1,
            "experiment_runs": 1, "evaluations": 1, "experiment_tags": 1,
        }.items():  # fmt: skip
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == rows, table


def test_several_writers_of_one_dataset_at_once(open_another: Callable[[], Store]) -> None:
    failures: list[BaseException] = []
    turns = 8
    stores = [open_another() for _ in range(4)]
    barrier = threading.Barrier(len(stores))

    def write(store: Store, writer: int) -> None:
        try:
            barrier.wait()
            for turn in range(turns):
                store.datasets.put("together", examples(3)) if turn == 0 else store.datasets.append(
                    "together", [example(100 * (writer + 1) + turn)]
                )
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(store, number)) for number, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A put may come after another one's append, and then takes away what that had appended.
    assert not failures
    versions = stores[0].datasets.versions("together")
    assert [version.number for version in versions] == list(range(len(versions), 0, -1))
    for version in versions:
        assert len(stores[0].datasets.get("together", version=version.id)) == version.example_count


_contents = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["as it was", "changed", ""])), max_size=6, unique_by=lambda e: e[0]
)
_names = count()


@pytest.mark.thorough
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(st.tuples(st.sampled_from(["put", "append"]), _contents), min_size=1, max_size=8))
def test_every_version_reads_back_what_was_put(store: Store, steps: list[tuple[str, list[tuple[int, str]]]]) -> None:
    """Any sequence of writes, against a model: what each version holds, and each example's place."""
    name = f"dataset {next(_names)}"
    now = {e.id: e for e in examples(2)}
    places = {"ex-0": 0, "ex-1": 1}
    made = {store.datasets.create(name, examples(2)).id: list(now.values())}
    end = 2
    for step, drawn in steps:
        content = [example(number, output=output) for number, output in drawn]
        given_ids = [e.id for e in content]
        if step == "append" and set(given_ids) & set(now):
            with pytest.raises(InvalidDataset, match="in the dataset already"):
                store.datasets.append(name, content)
            continue
        before = dict(now)
        if step == "put":
            now = {e.id: e for e in content}
            fresh = [example_id for example_id in given_ids if example_id not in places]
        else:
            now |= {e.id: e for e in content}
            fresh = given_ids
        for example_id in fresh:
            places[example_id] = end
            end += 1
        version = getattr(store.datasets, step)(name, content)
        assert (version.id in made) == (now == before)
        made[version.id] = sorted(now.values(), key=lambda e: places[e.id])
    versions = store.datasets.versions(name)
    assert [version.number for version in versions] == list(range(len(made), 0, -1))
    for version in versions:
        assert list(store.datasets.get(name, version=version.id).examples) == made[version.id]
        assert version.example_count == len(made[version.id])
        assert [example_id for _, example_id, _ in store.datasets.outline(version)] == [e.id for e in made[version.id]]
