"""Files of text: UTF-8, read from the start as often as somebody wants to."""

from __future__ import annotations

import codecs
import shutil
import tempfile
from pathlib import Path
from typing import TextIO

from prefect_experiments.errors import InvalidDataset

_PIECE = 1 << 20


class TextFile:
    """A text file that is known to be UTF-8; a byte order mark at its start does not count.

    What can be read only once, such as a named pipe, is copied to a temporary file.

    Attributes:
        origin: its path, for messages.
        size: in bytes.
        nul_line: the first line with a NUL character, ``None`` where there is none.

    Raises:
        InvalidDataset: it cannot be read, or is not UTF-8.
    """

    def __init__(self, path: Path) -> None:
        self.origin = str(path)
        self.size = 0
        self.nul_line: int | None = None
        try:
            self._copy = None if path.is_file() else _copied(path)
            self._path = path if self._copy is None else Path(self._copy.name)
            self._check(path)
        except OSError as error:
            raise InvalidDataset(f"{path} cannot be read: {error.strerror or error}") from None

    def open(self, newline: str) -> TextIO:
        r"""The text, with line ends as they are; with ``newline="\n"``, only that is one.

        Raises:
            InvalidDataset: it is there no longer.
        """
        try:
            return self._path.open(encoding="utf-8-sig", newline=newline)
        except OSError as error:
            raise InvalidDataset(f"{self.origin} cannot be read: {error.strerror or error}") from None

    def _check(self, path: Path) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")()
        line = 1
        with self._path.open("rb") as file:
            while True:
                piece = file.read(_PIECE)
                kept = len(decoder.getstate()[0])
                try:
                    decoder.decode(piece, final=not piece)
                except UnicodeDecodeError as error:
                    raise not_utf8(path, self._path, self.size - kept + error.start) from None
                if not piece:
                    return
                if self.nul_line is None:
                    if (place := piece.find(b"\0")) >= 0:
                        self.nul_line = line + piece.count(b"\n", 0, place)
                    line += piece.count(b"\n")
                self.size += len(piece)


def _copied(path: Path) -> tempfile._TemporaryFileWrapper[bytes]:
    copy = tempfile.NamedTemporaryFile()  # noqa: SIM115 - it goes when nobody reads it any more
    with path.open("rb") as file:
        shutil.copyfileobj(file, copy)
    copy.flush()
    return copy


def whole_text(path: Path) -> str:
    """All of a text file.

    Raises:
        InvalidDataset: it cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidDataset(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise not_utf8(path, path, error.start, content[:2]) from None


def not_utf8(path: Path, found_at: Path, byte: int, start: bytes | None = None) -> InvalidDataset:
    """The error for a file that is not UTF-8 at a byte."""
    if start is None:
        with found_at.open("rb") as file:
            start = file.read(2)
    known = "UTF-16" if start in (b"\xff\xfe", b"\xfe\xff") else "WINDOWS-1252"
    return InvalidDataset(
        f"{path} is not UTF-8: byte {byte} cannot be read. Convert it, for example: "
        f"iconv -f {known} -t UTF-8 {path.name} > utf8{path.suffix}"
    )
