from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from prefect_experiments.errors import AmbiguousName, InvalidInput, NotFound
from prefect_experiments.models import DatasetVersion
from prefect_experiments.store import EvaluatorRecord, Store
from support.patience import wait_for

from .samples import TASK, examples, new_experiment, record, run_row, verdict


def evaluator(name: str, fingerprint: str = "e" * 64) -> EvaluatorRecord:
    return EvaluatorRecord(name, "CODE", fingerprint, f"app:{name}")


def test_create_and_read_back(store: Store) -> None:
    version = store.datasets.put("questions", examples(5))
    made = store.experiments.create(
        "nightly",
        version,
        task=TASK,
        evaluators=[evaluator("exact"), evaluator("judge")],
        repetitions=3,
        positions=[0, 3],
        splits=["test"],
        description="what for",
        metadata={"model": "m-1", "n": 1.5},
        project_name="project",
    )
    found = store.experiments.get(made.experiment.id)
    assert found == made
    assert (found.version, found.positions, found.task) == (version, (0, 3), TASK)
    assert found.evaluators == (evaluator("exact"), evaluator("judge"))
    experiment = found.experiment
    assert (experiment.name, experiment.description) == ("nightly", "what for")
    assert experiment.metadata == {"model": "m-1", "n": 1.5}
    assert (experiment.dataset_name, experiment.dataset_id) == ("questions", version.dataset_id)
    assert experiment.dataset_version_id == version.id
    assert (experiment.example_count, experiment.repetitions, experiment.splits) == (2, 3, ("test",))
    assert (experiment.evaluators, experiment.tags) == (("exact", "judge"), ())
    assert (experiment.task, experiment.project_name) == ("answer", "project")
    assert experiment.created_at == experiment.updated_at


def test_found_by_what_the_metadata_say_whatever_the_clock_said(store: Store) -> None:
    """A flow run that is run again looks for what it has begun, newest first."""
    version = store.datasets.put("questions", examples(1))
    for number, (run, now) in enumerate([("r_1", 3e9), ("r_1", 1.0), ("rx1", 2e9)]):
        store.experiments.create(f"n{number}", version, task=TASK, metadata={"run": run}, now=now)
    assert [found.name for found in store.experiments.mentioning("r_1")] == ["n1", "n0"]
    assert store.experiments.mentioning("r_2") == []


def test_what_cannot_be_kept_is_refused(store: Store) -> None:
    version = store.datasets.put("questions", examples(1))
    with pytest.raises(InvalidInput, match="the experiment's name must be 1 to 255"):
        store.experiments.create("a\nb", version, task=TASK)
    with pytest.raises(InvalidInput, match="the experiment's metadata must be a JSON object"):
        store.experiments.create("e", version, task=TASK, metadata={"a": float("nan")})
    with pytest.raises(InvalidInput, match="an evaluator's name must be at most 255 characters"):
        store.experiments.create("e", version, task=TASK, evaluators=[evaluator("x" * 10_000)])
    assert store.experiments.page()[0] == []


def test_create_on_a_version_that_was_deleted(store: Store) -> None:
    version = store.datasets.put("questions", examples(1))
    store.datasets.delete("questions")
    with pytest.raises(NotFound, match="deleted in the meantime"):
        store.experiments.create("e", version, task=TASK)


def test_text_with_nul_in_a_description(store: Store) -> None:
    made = new_experiment(store, description="a\x00b \udc80")
    assert made.experiment.description == "a\u2400b \\udc80"
    version = store.datasets.create("other", [], description="a\x00b")
    assert store.datasets.info(version.dataset_id).description == "a\u2400b"


def test_get_by_id_name_tag_and_latest(store: Store) -> None:
    first = new_experiment(store, name="first").experiment.id
    second = new_experiment(store, name="second").experiment.id
    other = new_experiment(store, name="first", dataset="other").experiment.id
    store.experiments.tag(first, "production")
    assert store.experiments.get(first).experiment.name == "first"
    assert store.experiments.get("second").experiment.id == second
    assert store.experiments.get("latest").experiment.id == other
    assert store.experiments.get("latest", dataset="dataset").experiment.id == second
    assert store.experiments.get("first", dataset="dataset").experiment.id == first
    assert store.experiments.get("first", dataset="other").experiment.id == other
    assert store.experiments.get("tag:production").experiment.id == first
    assert store.experiments.get("tag:production", dataset="dataset").experiment.id == first
    dataset_id = store.datasets.info("other").id
    assert store.experiments.get("latest", dataset=dataset_id).experiment.id == other


def test_the_latest_has_a_run_unless_its_runs_are_to_be_made(store: Store) -> None:
    made = new_experiment(store, name="made").experiment.id
    record(store, made, [run_row(0)])
    begun = new_experiment(store, name="begun").experiment.id
    assert store.experiments.get("latest").experiment.id == made
    assert store.experiments.get("latest", to_continue=True).experiment.id == begun


@pytest.mark.thorough
def test_what_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound, match=r"there is no experiment yet$"):
        store.experiments.get("latest")
    new_experiment(store, name="nightly")
    store.datasets.create("empty", [])
    for number in range(30):
        new_experiment(store, name=f"a-{number:02}")
    with pytest.raises(NotFound, match="unknown experiment 'nigthly'; did you mean 'nightly'"):
        store.experiments.get("nigthly")
    with pytest.raises(NotFound, match="there is no experiment yet on dataset 'empty'"):
        store.experiments.get("latest", dataset="empty")
    with pytest.raises(NotFound, match="unknown dataset 'emty'; did you mean 'empty'"):
        store.experiments.get("nightly", dataset="emty")
    with pytest.raises(NotFound, match="unknown dataset 'emty'"):
        store.experiments.page(dataset="emty")
    with pytest.raises(NotFound, match="no experiment has the tag 'best'"):
        store.experiments.get("tag:best")
    with pytest.raises(NotFound, match="no experiment"):
        store.experiments.tag("exp-0", "best")
    with pytest.raises(NotFound, match="there is no experiment 'exp-0'"):
        store.experiments.put_evaluators("exp-0", [evaluator("exact")])


def test_a_name_of_several_lists_their_ids(store: Store) -> None:
    made = [new_experiment(store, name="nightly").experiment.id for _ in range(3)]
    with pytest.raises(AmbiguousName) as raised:
        store.experiments.get("nightly")
    assert "3 experiments are called 'nightly'; name one by its id:" in str(raised.value)
    assert re.findall(r"exp-\w+", str(raised.value)) == made[::-1]


def test_a_tag_moves_within_a_dataset_only(store: Store) -> None:
    first = new_experiment(store).experiment.id
    second = new_experiment(store).experiment.id
    other = new_experiment(store, dataset="other").experiment.id
    for experiment_id in (first, other, second, second):
        store.experiments.tag(experiment_id, "production")
    store.experiments.tag(second, "candidate")
    tags = {e.id: e.tags for e in store.experiments.page()[0]}
    assert tags == {first: (), second: ("candidate", "production"), other: ("production",)}
    assert store.experiments.get("tag:production", dataset="dataset").experiment.id == second
    assert store.experiments.get("tag:production", dataset="other").experiment.id == other
    with pytest.raises(AmbiguousName, match="2 experiments have the tag 'production', on different datasets"):
        store.experiments.get("tag:production")
    store.experiments.untag(second, "production")
    assert store.experiments.get("tag:production").experiment.id == other
    with pytest.raises(NotFound, match=f"experiment {second} has no tag 'production'"):
        store.experiments.untag(second, "production")
    with pytest.raises(InvalidInput, match="the tag's name must be"):
        store.experiments.tag(second, "")


def test_delete(store: Store) -> None:
    gone = new_experiment(store, name="gone").experiment.id
    kept = new_experiment(store, name="kept").experiment.id
    for experiment_id in (gone, kept):
        record(store, experiment_id, [run_row(0)], [verdict(0)])
    store.experiments.tag(gone, "best")
    store.experiments.delete(gone)
    with pytest.raises(NotFound):
        store.experiments.get(gone)
    with pytest.raises(NotFound):
        store.experiments.get("tag:best")
    assert store.results.runs(gone)[0] == []
    assert store.results.evaluations(gone) == []
    assert len(store.results.runs(kept)[0]) == 1
    assert len(store.results.evaluations(kept)) == 1
    assert len(store.datasets.get("dataset")) == 3


def test_evaluators_keep_their_order(store: Store) -> None:
    made = new_experiment(store, evaluators=[evaluator("b"), evaluator("a")])
    experiment_id = made.experiment.id
    store.experiments.put_evaluators(experiment_id, [evaluator("c"), evaluator("a", "new" * 8), evaluator("0")])
    found = store.experiments.get(experiment_id)
    assert found.evaluators == (evaluator("b"), evaluator("a", "new" * 8), evaluator("c"), evaluator("0"))
    assert found.experiment.evaluators == ("b", "a", "c", "0")
    assert made.experiment.updated_at
    assert found.experiment.updated_at
    assert found.experiment.updated_at >= made.experiment.updated_at
    store.experiments.put_evaluators(experiment_id, [])
    assert store.experiments.get(experiment_id).evaluators == found.evaluators


def test_evaluators_added_by_several_at_once(open_another: Callable[[], Store]) -> None:
    stores = [open_another() for _ in range(4)]
    experiment_id = new_experiment(stores[0]).experiment.id
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(stores))

    def add(store: Store, writer: int) -> None:
        try:
            barrier.wait()
            for turn in range(5):
                store.experiments.put_evaluators(experiment_id, [evaluator(f"{writer}-{turn}"), evaluator("shared")])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=(store, number)) for number, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    names = [e.name for e in stores[0].experiments.get(experiment_id).evaluators]
    assert len(names) == len(set(names)) == 21
    for writer in range(4):  # each writer's own are in its order
        own = [name for name in names if name.startswith(f"{writer}-")]
        assert own == sorted(own)


def test_pages(store: Store) -> None:
    version: DatasetVersion = store.datasets.put("questions", examples(2))
    made = [store.experiments.create(f"e{number}", version, task=TASK).experiment for number in range(5)]
    other = new_experiment(store, dataset="other").experiment
    found, cursor = [], None
    while True:
        items, pagination = store.experiments.page(limit=2, cursor=cursor)
        found += items
        cursor = pagination.next_cursor
        if not pagination.has_more:
            break
    assert found == [other, *reversed(made)]
    for dataset in ("questions", version.dataset_id):
        items, pagination = store.experiments.page(dataset=dataset)
        assert items == made[::-1]
        assert not pagination.has_more


def test_what_is_read_and_then_written_waits_for_others_who_do_so(postgres_url: str) -> None:
    """Or of two who move a tag at once, one would write over what the other has not read."""
    store = Store(postgres_url)
    experiment = new_experiment(store).experiment.id
    version = store.datasets.version("dataset")
    waiting = sa.text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
        " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
    )

    def waits() -> bool:
        with store.database.read() as connection:
            return bool(connection.execute(waiting).scalar_one())

    for change in (
        lambda: store.experiments.tag(experiment, "baseline"),
        lambda: store.experiments.note(experiment, commit="c1"),
        lambda: store.experiments.create("another", version, task=TASK),
        lambda: store.experiments.delete(experiment),
    ):
        with store.database.write(alone=True):
            changing = threading.Thread(target=change)
            changing.start()
            wait_for(lambda thread=changing: waits() or not thread.is_alive(), "the lock")  # type: ignore[misc]
            assert changing.is_alive()
        changing.join()


def test_a_page_has_fifty_of_each_kind(store: Store) -> None:
    for number in range(51):
        new_experiment(store, name=f"night-{number}", dataset=f"dataset-{number}")
    for page in (store.experiments.page, store.datasets.page):
        found, pagination = page()
        assert len(found) == 50
        assert len(page(cursor=pagination.next_cursor)[0]) == 1
