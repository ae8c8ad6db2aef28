"""Which faults of a backend's datasets the suite notices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from .broken import END, Fault, Faulty, each, examples, gives, is_instead, mumbled, nothing, paged, silent

MADE = "a_dataset_comes_back_as_it_was_made"
NAMED = "a_name_is_taken_once"
AGAIN = "the_same_is_made_again"
APPENDED = "examples_are_appended"
VERSIONS = "every_version_can_be_read"
SPLITS = "splits"
FAULTS: list[tuple[str, str, Fault]] = [
    ("an example is lost", MADE, gives("datasets.get", examples(lambda them: them[1:]))),
    ("an example is there twice", MADE, gives("datasets.get", examples(lambda them: [*them, them[0]]))),
    ("the order is another", MADE, gives("datasets.get", examples(lambda them: them[::-1]))),
    ("inputs are lost", MADE, gives("datasets.get", examples(each("input", {})))),
    ("outputs are lost", MADE, gives("datasets.get", examples(each("output", None)))),
    ("metadata is lost", MADE, gives("datasets.get", examples(each("metadata", {})))),
    ("ids are lost", MADE, gives("datasets.get", examples(each("id", "x")))),
    ("the description is lost", MADE, gives("datasets.create", lambda made: replace(made, description=None))),
    ("what is made has another name", MADE, gives("datasets.create", lambda made: replace(made, name="x"))),
    ("what is made has no id", MADE, gives("datasets.create", lambda made: replace(made, id=""))),
    ("what is made has no version", MADE, gives("datasets.create", lambda made: replace(made, version_id=""))),
    ("what is got has another name", MADE, gives("datasets.get", lambda found: replace(found, name="x"))),
    ("what is got has another version", MADE, gives("datasets.get", lambda found: replace(found, version_id="x"))),
    ("too many are counted", MADE, gives("datasets.info", lambda info: replace(info, example_count=5))),
    ("too few are counted", MADE, gives("datasets.info", lambda info: replace(info, example_count=3))),
    ("too many versions are counted", MADE, gives("datasets.info", lambda info: replace(info, version_count=2))),
    ("too few versions are counted", MADE, gives("datasets.info", lambda info: replace(info, version_count=0))),
    (
        "a name is taken twice",
        NAMED,
        is_instead("datasets.create", lambda create, name, *more, **given: create(f"{name}+", *more, **given)),
    ),
    ("a refusal does not say the name", NAMED, is_instead("datasets.create", mumbled)),
    ("the same is never known again", AGAIN, gives("datasets.holding", lambda found: None)),
    (
        "anything is the same",
        AGAIN,
        is_instead("datasets.holding", lambda holding, name, content: holding.__self__.get(name)),
    ),
    (
        "an unknown dataset has an empty list of versions",
        "a_dataset_that_is_not_there",
        is_instead("datasets.versions", lambda versions, name: silent(versions, name) or []),
    ),
    ("an unknown dataset can be deleted", "a_dataset_that_is_not_there", is_instead("datasets.delete", silent)),
    (
        "an unknown version is the newest",
        "a_dataset_that_is_not_there",
        is_instead("datasets.get", lambda get, name, *, version=None, **more: get(name, **more)),
    ),
    (
        "what is appended stands first",
        APPENDED,
        is_instead("datasets.write", lambda write, name, content: write(name, content[-1:] + content[:-1])),
    ),
    (
        "what is appended is in no new version",
        APPENDED,
        gives("datasets.append", lambda found: replace(found, version_id=found.version_id.replace(".2", ".1"))),
    ),
    (
        "what is appended is in another dataset",
        APPENDED,
        gives("datasets.append", lambda found: replace(found, id="x")),
    ),
    (
        "the others are lost",
        "examples_are_changed_by_their_ids",
        is_instead(
            "datasets.update",
            lambda update, name, content: (
                update.__self__.write(update.__self__.info(name).id, content) and update.__self__.get(name)
            ),
        ),
    ),
    (
        "nothing is changed",
        "examples_are_changed_by_their_ids",
        is_instead("datasets.update", lambda update, name, content: update.__self__.get(name)),
    ),
    ("versions are listed oldest first", VERSIONS, gives("datasets.versions", lambda found: found[::-1])),
    (
        "versions are counted from 0",
        VERSIONS,
        gives("datasets.versions", lambda found: [replace(one, number=one.number - 1) for one in found]),
    ),
    (
        "versions are counted from 2",
        VERSIONS,
        gives("datasets.versions", lambda found: [replace(one, number=one.number + 1) for one in found]),
    ),
    ("a version is missing", VERSIONS, gives("datasets.versions", lambda found: found[:1])),
    ("splits are forgotten", SPLITS, gives("datasets.get", examples(each("splits", ())))),
    (
        "splits do not matter",
        SPLITS,
        is_instead("datasets.get", lambda get, *given, splits=(), **more: get(*given, **more)),
    ),
    (
        "nothing is in a split",
        SPLITS,
        is_instead(
            "datasets.get",
            lambda get, *given, splits=(), **more: examples(lambda them: [] if splits else them)(get(*given, **more)),
        ),
    ),
    ("a deleted dataset is still there", "a_deleted_dataset_is_gone", is_instead("datasets.delete", nothing)),
    (
        "datasets are listed oldest first",
        "pages_of_datasets",
        is_instead("datasets._heads", lambda heads: heads()[::-1]),
    ),
    ("there is never more", "pages_of_datasets", gives("datasets.page", paged(lambda found, _: (found, END)))),
    (
        "there is always more",
        "pages_of_datasets",
        gives("datasets.page", paged(lambda found, after: (found, replace(after, has_more=True)))),
    ),
    (
        "a page is larger than it was asked to be",
        "pages_of_datasets",
        is_instead("datasets.page", lambda page, limit, cursor: page(limit=limit + 1, cursor=cursor)),
    ),
    (
        "any text is a cursor",
        "pages_of_datasets",
        is_instead(
            "datasets.page",
            lambda page, limit, cursor: page(limit=limit, cursor=None if cursor == "no cursor at all" else cursor),
        ),
    ),
]


class TestDatasets(Faulty):
    @pytest.mark.parametrize(("test", "fault"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS])
    def test_it_is_noticed(self, test: str, fault: Fault, notices: Callable[[str, Fault], None]) -> None:
        notices(test, fault)
