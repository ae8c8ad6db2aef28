"""Every message that people can meet is met by a test that reads it: the list is made from the source."""

from __future__ import annotations

import re

import pytest

from support.messages import Message, messages, messages_of, texts_of, texts_of_tests, unread

# What no test can read, by its module and some of its words, and why.
UNREAD = {
    ("local_modules.py", "is loaded from its source"): "Python's import catches it: nobody is shown it",
    ("testing/conditions.py", "give a fixture"): "for the author of a backend's tests, where a fixture is missing",
    # What backends answer that have never been seen to, or only in a moment between two processes: what is done then is
    # tested, as no result may be lost by it, and the words are not.
    ("backends/arize/pushing.py", "another process is pushing"): "two processes in one moment",
    ("backends/phoenix/graphql.py", "does not give the results of"): "an answer that Phoenix does not give",
    ("cli/running.py", "results wait the backend"): "two processes in one moment",
    ("orchestration/temporary_server.py", "not tried any more"): "ends a thread of Prefect's, for which nobody waits",
    ("orchestration/workers/leading.py", "workers that no longer answer"): "after a minute: in the slow tests' log",
}


def test_every_message_is_read_by_a_test() -> None:
    every = messages()
    assert len(every) > 1400, "the list is made from the source"
    excused = {key: [one for one in every if one.module == key[0] and key[1] in one.words] for key in UNREAD}
    assert all(excused.values()), "an excuse is for a message"
    not_read = {f"{one.module}: {one.words}": one for one in unread(every, texts_of_tests())}
    found = {words for words, one in not_read.items() if not any(one in some for some in excused.values())}
    assert not found, "write a test that meets it and reads it"
    assert all(set(some) & set(not_read.values()) for some in excused.values()), "what is read needs no excuse"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise ValueError('there is no such name')", ["there is no such name"]),
        ("raise ValueError('unreadable')", ["unreadable"]),
        ("raise ValueError(f'{name!r} is not one of {len(names)} names')", ["is not one of ... names"]),
        ("raise ValueError('there is no ' + name + ' among the names')", ["there is no", "among the names"]),
        ("raise ValueError('%s is not a name: %d' % (name, n))", ["is not a name"]),
        ("raise ValueError('{} is not a name of {there}'.format(name, there=there))", ["is not a name of"]),
        ("raise ValueError(', '.join(['it is no name', 'it has no end']))", ["it is no name", "it has no end"]),
        ('raise ValueError(f\'it is {"none of the names" if x else "not the right one"}\')', "nested"),
        ("error = ValueError('there is no such name')\nraise error", ["there is no such name"]),
        ("text = 'there is no such name'\nraise ValueError(text)", ["there is no such name"]),
        ("text: str = 'there is no such name'", ["there is no such name"]),
        ("_NONE: Final = 'there is no such name'", ["there is no such name"]),
        ("class Why(Enum):\n    NONE = 'there is no such name'", ["there is no such name"]),
        ("WHY = {1: 'there is no such name'}", ["there is no such name"]),
        ("WHY = ['there is no such name']", ["there is no such name"]),
        ("text += 'there is no such name'", ["there is no such name"]),
        ("def why():\n    return 'there is no such name'", ["there is no such name"]),
        ("def why():\n    yield 'there is no such name'", ["there is no such name"]),
        ("why = lambda: 'there is no such name'", ["there is no such name"]),
        ("def refuse(why='there is no such name'):\n    ...", ["there is no such name"]),
        ("class No(Exception):\n    text = 'there is no such name'", ["there is no such name"]),
        ("class No(Exception):\n    def __str__(self):\n        return f'{self.name} is no name'", ["is no name"]),
        ("super().__init__('there is no such name')", ["there is no such name"]),
        ("problems.append('there is no such name')", ["there is no such name"]),
        ("print('there is no such name', file=sys.stderr)", ["there is no such name"]),
        ("sys.exit('there is no such name')", ["there is no such name"]),
        ("raise SystemExit('there is no such name')", ["there is no such name"]),
        ("warnings.warn('there is no such name', stacklevel=2)", ["there is no such name"]),
        ("log.warning('there is no %s among %d', name, n)", ["there is no ... among"]),
        ("error.add_note('there is no such name')", ["there is no such name"]),
        ("match name:\n    case _:\n        refuse(said='there is no such name')", ["there is no such name"]),
        # What nobody is told.
        ("'''There is no such name.'''", []),
        ("def why():\n    '''There is no such name.'''", []),
        ("limit: int = 3\n'''There is no such name.'''", []),
        ("log.debug('there is no such name')", []),
        ("assert names, 'there is no such name'", []),
        ("if str(error) == 'there is no such name':\n    ...", []),
        ("_THEIRS = 'there is no such name'\nif str(error) == _THEIRS:\n    ...", []),
        ("_THEIRS = ('there is no such name',)\nif str(error).startswith(_THEIRS):\n    ...", []),
        ("_OURS = 'there is no such name'\nif name == _OURS:\n    print(_OURS)", ["there is no such name"]),
        ("name = Field(description='there is no such name')", []),
        ("connection.execute('SELECT name FROM names WHERE name')", []),
        ("QUERY = 'SELECT name FROM names WHERE name'", []),
        ("COLUMNS = 'example_id, output, span_id'", []),
        ("has = 'coalesce(has_privilege(name), true)'", []),
        ("class Names:\n    def test_names(self):\n        skip('there is no such name')", []),
        ("raise ValueError(getattr(error, 'strerror', 'it is no text'))", ["it is no text"]),
        ("raise named(cast('DBAPIError', error))", []),
        ("PAGE = '<p>there is no such name</p>'", []),
        ("names = ['one', 'two words', 'https://one.of/two words']", []),
        ("def why(name: 'dict[str, int] | None'):\n    ...", []),
    ],
)
def test_what_is_a_message(source: str, said: list[str] | str) -> None:
    if said == "nested":
        said = ["none of the names", "not the right one"]
    assert sorted(one.words for one in messages_of(source)) == sorted(said)


BOTH = [
    Message("names.py", 1, ("there is no name", "among the", "names")),
    Message("names.py", 2, ("there is no name",)),
    Message("folders.py", 1, ("there is no folder of that name",)),
    Message("folders.py", 2, ("unreadable",)),
]


@pytest.mark.parametrize(
    ("test", "read"),
    [
        ("assert 'no folder of that' in str(error)", [2]),
        ("with pytest.raises(ValueError, match='folder of that name'): ...", [2]),
        ("with pytest.raises(ValueError, match=r'no folder\\ of that \\(name'): ...", [2]),
        ("cases = parametrize('said', ['folder of that name'])", [2]),
        ("assert said == 'there is no name'", [1]),
        ("assert said == f'there is no name {name!r} among the {n} names'", [0, 1]),
        ("assert re.search('there is no name .* among the .* names', said)", [0, 1]),
        ("assert said == 'unreadable'", [3]),
        ("assert said == 'there is no name x among'", [0, 1]),
        # Words that others have, too few words, words that do not follow each other.
        ("assert 'there is no' in said", []),
        ("assert 'no folder' in said", []),
        ("assert re.search('there is no.*folder of.*that name', said)", []),
        ("assert said == f'no folder {of} of that'", []),
        # What is not compared with anything.
        ("'''There is no folder of that name.'''", []),
        ("def test():\n    '''There is no folder of that name.'''", []),
        ("assert folder, 'there is no folder of that name'", []),
        ("raise ValueError('there is no folder of that name')", []),
        ("pytest.skip(reason='there is no folder of that name')", []),
    ],
)
def test_what_reads_a_message(test: str, read: list[int]) -> None:
    left = unread(BOTH, texts_of(test))
    assert [BOTH.index(one) for one in BOTH if one not in left] == read


def test_documents_are_read_where_they_are_compared() -> None:
    assert any(re.search("passed", text) for text in texts_of_tests())
