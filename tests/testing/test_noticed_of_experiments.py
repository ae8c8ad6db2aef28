"""Which faults of a backend's experiments and results, and of what it says of itself, the suite notices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from prefect_experiments.backends import Capabilities
from prefect_experiments.errors import InvalidSetting

from .broken import END, Fault, Faulty, evaluations, gives, is_instead, mumbled, nothing, paged, run, runs, silent

pytestmark = pytest.mark.thorough

FOUND = "an_experiment_is_found"
MISSING = "an_experiment_that_is_not_there"
SEVERAL = "a_name_that_several_have"
NEWEST = "the_newest_of_a_name"
PAGES = "pages_of_experiments"
TAGS = "tags"
BACK = "results_come_back_as_they_were"
PUSHED = "pushing_again_changes_nothing"
BEGUN = "an_experiment_is_begun"
PUT = "a_version_is_put_once"
FAULTS: list[tuple[str, str, Fault]] = [
    ("it has another id", FOUND, gives("experiments.find", lambda found: replace(found, id="x"))),
    ("it has another name", FOUND, gives("experiments.find", lambda found: replace(found, name="x"))),
    (
        "names of experiments are not known",
        FOUND,
        is_instead(
            "experiments.find", lambda find, key, dataset=None: find("latest", dataset) if dataset else find(key)
        ),
    ),
    ("the latest is the first", FOUND, is_instead("experiments._heads", lambda heads, dataset: heads(dataset)[::-1])),
    ("an unknown one is not named", MISSING, is_instead("experiments.find", mumbled)),
    (
        "an unknown dataset has no experiments",
        MISSING,
        is_instead("experiments.page", lambda page, **given: silent(page, **given) or ([], END)),
    ),
    (
        "of several of a name one is taken",
        SEVERAL,
        is_instead("experiments.find", lambda find, key, dataset=None: silent(find, key, dataset) or find("latest")),
    ),
    ("several of a name are not listed", SEVERAL, is_instead("experiments.find", mumbled)),
    (
        "a dataset does not say which is meant",
        SEVERAL,
        is_instead("experiments.find", lambda find, key, dataset=None: find(key)),
    ),
    (
        "the newest is taken, of whatever dataset",
        NEWEST,
        is_instead(
            "experiments.find",
            lambda find, key, dataset=None: find(key) if key.startswith("latest:") else find(key, dataset),
        ),
    ),
    (
        "a dataset's newest is not found",
        NEWEST,
        is_instead(
            "experiments.find",
            lambda find, key, dataset=None: find(key if not key.endswith("-other") else "no such", dataset),
        ),
    ),
    (
        "an unknown newest is the newest of all",
        NEWEST,
        is_instead("experiments.find", lambda find, key, dataset=None: silent(find, key, dataset) or find("latest")),
    ),
    (
        "experiments are listed oldest first",
        PAGES,
        is_instead("experiments._heads", lambda heads, dataset: heads(dataset)[::-1]),
    ),
    ("there is never more of them", PAGES, gives("experiments.page", paged(lambda found, _: (found, END)))),
    (
        "there is always more of them",
        PAGES,
        gives("experiments.page", paged(lambda found, after: (found, replace(after, has_more=True)))),
    ),
    (
        "the last page has a cursor",
        PAGES,
        gives(
            "experiments.page",
            paged(lambda found, after: (found, replace(after, next_cursor=after.next_cursor or "x"))),
        ),
    ),
    (
        "without a dataset none is listed",
        PAGES,
        is_instead(
            "experiments.page", lambda page, dataset, **more: page(dataset=dataset, **more) if dataset else ([], END)
        ),
    ),
    (
        "any text is a cursor of them",
        PAGES,
        is_instead(
            "experiments.page",
            lambda page, cursor, **more: page(cursor=None if cursor == "no cursor at all" else cursor, **more),
        ),
    ),
    ("no tag is given", TAGS, is_instead("experiments.tag", nothing)),
    (
        "a tag stays where it was",
        TAGS,
        is_instead("experiments.tag", lambda tag, key, name: _tag_too(tag.__self__, key, name)),
    ),
    (
        "no tag is taken away",
        TAGS,
        is_instead(
            "experiments.untag",
            lambda untag, key, tag: None if tag in untag.__self__.find(key).tags else untag(key, tag),
        ),
    ),
    ("a tag that is not there can be taken away", TAGS, is_instead("experiments.untag", silent)),
    ("a deleted experiment is still there", "a_deleted_experiment_is_gone", is_instead("experiments.delete", nothing)),
    (
        "all are deleted at once",
        "a_deleted_experiment_is_gone",
        is_instead(
            "experiments.delete", lambda delete, key: [delete(head["id"]) for head in delete.__self__._heads(None)]
        ),
    ),
    # Results
    *((f"{part} is lost", BACK, gives("pull", run(**{part: None}))) for part in ("output_json", "error", "trace_id")),
    (
        "latencies are lost",
        BACK,
        gives(
            "pull", runs(lambda one: [one._replace(run=one.run._replace(latency_ms=None, end_time=one.run.start_time))])
        ),
    ),
    ("times are lost", BACK, gives("pull", run(start_time=0.0))),
    *(
        (f"the {part} of evaluations is lost", BACK, gives("pull", evaluations(**{part: None})))
        for part in ("score", "label", "explanation", "error")
    ),
    ("the metadata of evaluations is lost", BACK, gives("pull", evaluations(metadata_json="{}"))),
    ("the kind of evaluations is lost", BACK, gives("pull", evaluations(annotator_kind="LLM"))),
    ("an evaluation is lost", BACK, gives("pull", runs(lambda one: [one._replace(evaluations=one.evaluations[1:])]))),
    ("a run is lost", BACK, gives("pull", runs(lambda one: [one] if one.run.example_id != "e3" else []))),
    (
        "runs are there again when they are pushed again",
        PUSHED,
        gives("pull", runs(lambda one: [one, one._replace(run=one.run._replace(repetition_number=2))])),
    ),
    (
        "a run is not there when it is pushed",
        PUSHED,
        gives("pull", runs(lambda one: [one] if one.run.example_id != "e3" else [])),
    ),
    (
        "an evaluation is not there when it is pushed",
        PUSHED,
        gives("pull", runs(lambda one: [one._replace(evaluations=one.evaluations[1:])])),
    ),
    (
        "repetitions are one run",
        "repetitions",
        gives("pull", runs(lambda one: [one] if one.repetition_number == 1 else [])),
    ),
    ("none is missing", "what_is_missing", gives("pull", lambda pulled: replace(pulled, missing=[]))),
    (
        "only what failed is missing",
        "what_is_missing",
        gives("pull", lambda pulled: replace(pulled, missing=pulled.missing[:1])),
    ),
    (
        "what comes later is lost",
        "an_evaluation_that_comes_later",
        gives(
            "pull", runs(lambda one: [one._replace(evaluations=tuple(e for e in one.evaluations if e.name != "late"))])
        ),
    ),
    ("annotations are not counted", "annotations", gives("experiments.annotate", lambda count: count + 1)),
    ("annotations are lost", "annotations", is_instead("experiments.annotate", lambda annotate, notes, *_: len(notes))),
    ("what is begun has another name", BEGUN, gives("experiments.find", lambda found: replace(found, name="x"))),
    (
        "what is begun is on another dataset",
        BEGUN,
        gives("experiments.find", lambda found: replace(found, dataset_id="x")),
    ),
    (
        "what is begun is on another version",
        BEGUN,
        gives("experiments.find", lambda found: replace(found, dataset_version_id="x")),
    ),
    ("what is begun is not there", BEGUN, gives("begin", lambda begun: replace(begun, id="x"))),
    ("what is begun has runs", BEGUN, gives("pull", lambda pulled: replace(pulled, runs=[None]))),
    (
        "the same is put again",
        PUT,
        is_instead(
            "put_version",
            lambda put, name, dataset, at=None: (dataset.id, put.__self__.datasets.write(dataset.id, dataset.examples)),
        ),
    ),
    (
        "other content is the same version",
        PUT,
        is_instead(
            "put_version", lambda put, name, dataset, at=None: (dataset.id, put.__self__.newest_version(dataset.id))
        ),
    ),
    ("the newest version is the first", PUT, gives("newest_version", lambda version: version.partition(".")[0] + ".1")),
    # What it says of itself
    (
        "it cannot be reached twice",
        "it_is_there",
        is_instead("check", lambda check, once=[]: once.append(1) or (check() if len(once) == 1 else silent_no_more())),
    ),
    *(
        (
            f"its place is {place!r}",
            "its_name_and_place",
            lambda remote, patch, place=place: patch.setattr(remote, "target", place),
        )
        for place in ("folder", "folder ", "folder  /tmp", "other /tmp", "folder /tmp ")
    ),
    ("its pages are no addresses", "pages_for_people_and_traces", gives("page_url", lambda _: "ftp://there")),
    ("its traces go to an address", "pages_for_people_and_traces", gives("trace_export", lambda _: "http://there")),
    (
        "it says that it has spaces",
        "it_has_what_it_says",
        lambda remote, patch: patch.setattr(remote, "capabilities", Capabilities(spaces=True)),
    ),
    (
        "it says that it has spans",
        "it_has_what_it_says",
        lambda remote, patch: patch.setattr(remote, "capabilities", Capabilities(spans=True)),
    ),
    (
        "it has spans and does not say so",
        "it_has_what_it_says",
        lambda remote, patch: patch.setattr(remote, "spans", None, raising=False),
    ),
    (
        "it begins by another name",
        "names_that_it_does_not_take_are_refused_early",
        gives("begin", lambda begun: replace(begun, name=begun.name.strip("'"))),
    ),
    (
        "it cannot begin a long name",
        "names_that_it_does_not_take_are_refused_early",
        gives("begin", lambda begun: replace(begun, name=begun.name[:254])),
    ),
]


def _tag_too(experiments: Any, key: str, tag: str) -> None:
    for head in experiments._heads(None):
        if head["id"] == key:
            experiments._write({**head, "tags": [*head["tags"], tag]})


def silent_no_more() -> None:
    raise InvalidSetting("asked too often")


class TestExperiments(Faulty):
    @pytest.mark.parametrize(("test", "fault"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS])
    def test_it_is_noticed(self, test: str, fault: Fault, notices: Callable[[str, Fault], None]) -> None:
        notices(test, fault)
