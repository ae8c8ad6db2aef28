"""Files of text that are larger than what is read of them at once, and such as can be read only once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from prefect_experiments.datasets import read_rows
from prefect_experiments.errors import InvalidDataset

MEGABYTE = 1 << 20


def refusal(path: Path) -> str:
    with pytest.raises(InvalidDataset) as refused:
        read_rows(path)
    return str(refused.value)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def straddling(end: bytes) -> bytes:
    """A text with a letter of two bytes where the first megabyte ends, and what stands behind it."""
    return b"q\n" + b"x" * (MEGABYTE - 3) + "é".encode() + end


def test_a_letter_may_lie_across_the_end_of_what_is_read_at_once(tmp_path: Path) -> None:
    assert read_rows(written(tmp_path / "a.csv", straddling(b"\n"))) == [{"q": "x" * (MEGABYTE - 3) + "é"}]


@pytest.mark.parametrize(
    ("content", "byte"),
    [
        (straddling(b"\n\xff\n"), MEGABYTE + 2),
        (b"q\n" + b"x" * (MEGABYTE - 3) + b"\xc3\n", MEGABYTE - 1),
        (b"q\n" + b"x" * (2 * MEGABYTE) + b"\xff", 2 * MEGABYTE + 2),
        (b"q\nx\xc3", 3),
    ],
)
def test_a_byte_that_is_no_text_is_counted_from_the_files_start(tmp_path: Path, content: bytes, byte: int) -> None:
    path = written(tmp_path / "a.csv", content)
    assert refusal(path) == (
        f"{path} is not UTF-8: byte {byte} cannot be read. Convert it, for example: iconv -f WINDOWS-1252 -t UTF-8 "
        "a.csv > utf8.csv"
    )


@pytest.mark.parametrize("name", ["a.csv", "a.json"])
@pytest.mark.parametrize(
    ("content", "known"),
    [
        (b"\xff\xfe" + "q\n1\n".encode("utf-16-le"), "UTF-16"),
        (b"\xfe\xff" + "q\n1\n".encode("utf-16-be"), "UTF-16"),
        (b"\xff\xff", "WINDOWS-1252"),
    ],
)
def test_what_the_first_two_bytes_say_is_how_to_convert_it(
    tmp_path: Path, name: str, content: bytes, known: str
) -> None:
    path = written(tmp_path / name, content)
    assert refusal(path).endswith(
        f"byte 0 cannot be read. Convert it, for example: iconv -f {known} -t UTF-8 {name} > utf8{path.suffix}"
    )


def test_the_first_nul_is_told_by_its_line_however_far_down_it_stands(tmp_path: Path) -> None:
    lines = (b"x" * 99 + b"\n") * 20_000
    for content, line in ((b"q\n" + lines + b"\0\n\0\n", 20_002), (b"q\n\n\0" + lines + b"\0", 3), (b"\0q\n", 1)):
        path = written(tmp_path / "a.csv", content)
        assert refusal(path) == f"{path}: line {line} holds a NUL character; this is not a CSV text"


def test_a_pipe_is_read_as_a_file_is(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("q;a\n1,5;x\n",))
    writer.start()
    try:
        assert read_rows(path) == [{"q": "1,5", "a": "x"}]
    finally:
        writer.join()


def test_what_is_named_may_not_be_what_it_is_said_to_be(tmp_path: Path) -> None:
    for name in ("b.csv", "a.jsonl"):
        written(tmp_path / name, b"")
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path} is a directory; give one of its files, such as {tmp_path / 'a.jsonl'} ")
    (tmp_path / "sub").mkdir()
    assert refusal(tmp_path / "sub").startswith(f"{tmp_path / 'sub'} is a directory; give one of its files ")
    assert refusal(tmp_path / "b.csv").startswith(f"{tmp_path / 'b.csv'} is empty ")
