"""Every message that people can meet is met by a test that reads it: the list is made from the source."""

from __future__ import annotations

from support.messages import messages, read_by_tests

# What no test reads, by its module and some of its words, and why.
UNREAD = {
    ("local_modules.py", "is loaded from its source"): "Python's import catches it: nobody is shown it",
    ("testing/conditions.py", "give a fixture"): "for the author of a backend's tests, where a fixture is missing",
    ("cli/planning.py", "Its number [1]"): "a question on a terminal, no refusal",
    ("cli/doctor.py", "work pools"): "what was looked at, not what was found",
    # Names of what was not delivered, in a message that tests read.
    ("orchestration/artifacts.py", "the metrics"): "a part of another message",
    ("orchestration/artifacts.py", "the outcome"): "a part of another message",
    ("orchestration/artifacts.py", "the progress"): "a part of another message",
    ("orchestration/workers/deployments.py", "why workers are late"): "a part of another message",
    # What backends answer that have never been seen to, or only in a moment between two processes: what is done then is
    # tested, as no result may be lost by it, and the words are not.
    ("backends/arize/api.py", "as many run_ids as runs"): "an answer that AX does not give",
    ("backends/arize/datasets.py", "in Arize AX has no version"): "an answer that AX does not give",
    ("backends/arize/pushing.py", "in Arize AX already"): "two processes in one moment",
    ("backends/arize/pushing.py", "another process is pushing"): "two processes in one moment",
    ("backends/phoenix/graphql.py", "does not give the results of"): "an answer that Phoenix does not give",
    ("cli/running.py", "results wait: the backend"): "two processes in one moment",
    ("orchestration/workers/leading.py", "Workers that no longer answer"): "after a minute: in the slow tests' log",
}


def test_every_message_is_read_by_a_test() -> None:
    texts = read_by_tests()
    every = messages()
    assert len(every) > 700, "the list is made from the source"
    unread = [one for one in every if not one.is_read_in(texts)]
    excuses = {one: {key for key in UNREAD if one.module == key[0] and key[1] in one.words} for one in unread}
    surprising = [f"{one.module}:{one.line} {one.words}" for one, found in excuses.items() if not found]
    assert not surprising, "write a test that meets it and reads it"
    assert set().union(*excuses.values()) == {*UNREAD}, "what is read by now needs no excuse"
