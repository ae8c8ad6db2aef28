"""A file that is written: the whole of it or nothing, where it was and as it was; and why it cannot be."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from prefect_experiments.errors import InvalidSetting
from prefect_experiments.files import is_stream, replaceable, why_unwritable, write_file


def new(file: BinaryIO) -> None:
    file.write(b"new")


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With one thing of each sort."""
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "second").symlink_to(tmp_path / "link")
    (tmp_path / "to-be").symlink_to("coming")
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "piped").symlink_to("pipe")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "target"),
    [("file", "file"), ("link", "file"), ("second", "file"), ("to-be", "coming"), ("other", "other")],
)
def test_the_file_that_a_path_leads_to_is_replaced(name: str, target: str, folder: Path) -> None:
    before = names_in(folder)
    links = {path: path.is_symlink() for path in folder.iterdir()}
    assert replaceable(folder / name) == folder / target
    assert why_unwritable(folder / name) == ""
    write_file(folder / name, new)
    assert (folder / target).read_text() == "new"
    assert {path: path.is_symlink() for path in links} == links
    assert names_in(folder) == before | {target}, "nothing else is left"
    assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o640


def test_on_an_error_the_old_one_stays(folder: Path) -> None:
    def half(file: BinaryIO) -> None:
        file.write(b"half")
        raise ValueError("it cannot be made")

    before = names_in(folder)
    for name in ("file", "other"):
        with pytest.raises(ValueError, match="it cannot be made"):
            write_file(folder / name, half)
    assert names_in(folder) == before
    assert (folder / "file").read_text() == "old"


def test_folders_are_made_where_that_is_asked_for(folder: Path) -> None:
    path = folder / "new" / "deep" / "file"
    with pytest.raises(InvalidSetting) as refused:
        write_file(path, new)
    assert str(refused.value) == f"{path} cannot be written: No such file or directory"
    assert not path.parent.parent.exists()
    write_file(path, new, make_folders=True)
    write_file(path, new, make_folders=True)
    assert path.read_text() == "new"
    assert why_unwritable(folder / "asked" / "file") == ""
    assert names_in(folder / "asked") == set()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("folder", "it is a folder"),
        ("socket", "it is a socket"),
        ("file/below", "its folder is a file"),
        ("file/below/deeper", "its folder is a file"),
    ],
)
def test_what_is_there_and_no_file_stays(name: str, why: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(folder)  # a socket's path is a short one
        listening.bind("socket")
        path = folder / name
        assert why_unwritable(path) == why
        for make_folders in (True, False):
            with pytest.raises(InvalidSetting) as refused:
                write_file(path, new, make_folders=make_folders)
            assert str(refused.value) == f"{path} cannot be written: {why}"
    assert (folder / "file").read_text() == "old"


def test_a_path_that_leads_nowhere(folder: Path) -> None:
    for path in (folder / "circle", folder / "circle" / "file", Path("a\x00b")):
        assert not is_stream(path)
        why = why_unwritable(path)
        assert why
        with pytest.raises(InvalidSetting) as refused:
            write_file(path, new)
        assert str(refused.value) == f"{path} cannot be written: {why}"


def test_what_is_a_stream(folder: Path) -> None:
    names = ("file", "link", "folder", "circle", "other", "pipe", "piped")
    assert [name for name in names if is_stream(folder / name)] == ["pipe", "piped"]
    assert is_stream(Path("/dev/null"))
    assert is_stream(Path("/dev/stdout"))
    assert why_unwritable(folder / "pipe") == why_unwritable(Path("/dev/null")) == ""
    write_file(Path("/dev/null"), new)


@pytest.mark.parametrize("how", ["/dev/fd/{}", "/proc/self/fd/{}", "link"])
def test_what_was_given_to_this_process_goes_on_where_it_stands(how: str, folder: Path) -> None:
    """What it has opened for itself, a database say, is left alone."""
    with (folder / "file").open("r+b") as file:
        file.seek(0, os.SEEK_END)
        path = Path(how.format(file.fileno()))
        if how == "link":
            path = folder / "to-fd"
            path.symlink_to(f"/dev/fd/{file.fileno()}")
        assert is_stream(path)
        with pytest.raises(InvalidSetting) as refused:
            write_file(path, new)
        assert str(refused.value) == f"{path} cannot be written: this process has that open for itself"
        assert (folder / "file").read_text() == "old"
        os.set_inheritable(file.fileno(), True)
        write_file(path, new)
        write_file(path, new)
        assert (folder / "file").read_text() == "oldnewnew"


def test_a_relative_path_without_a_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert why_unwritable(Path("file")) == "the current directory does not exist any more"
    with pytest.raises(
        InvalidSetting, match=r"^file cannot be written: the current directory does not exist any more$"
    ):
        write_file(Path("file"), new)
    write_file(tmp_path / "file", new)
    os.chdir(tmp_path)
