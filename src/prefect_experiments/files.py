"""Files that are written for whoever asks for one: whole or not at all, and never in the place of what is no file."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from prefect_experiments.errors import InvalidSetting, current_directory

Write = Callable[[BinaryIO], object]

_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_MOST_IN_MEMORY = 8_000_000  # bytes
_MOST_LINKS = 40  # Linux follows no more either
_STREAMS = {stat.S_IFCHR: "a device", stat.S_IFIFO: "a pipe"}
_OTHERS = {stat.S_IFDIR: "a folder", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a disk"}


def write_file(path: Path, write: Write, *, make_folders: bool = False) -> None:
    """Write a file: the whole of it or, on an error, nothing.

    A link stays one: the file that it leads to is replaced, and the new one has the rights of the old. What goes to a
    pipe or a device, such as ``/dev/stdout``, goes straight into it.

    Args:
        path: of the file.
        write: writes it.
        make_folders: whether folders that are missing are made.

    Raises:
        InvalidSetting: it cannot be written, or is there and no file.
    """
    with _named(path):
        if is_stream(path):
            _into_stream(path, write)
            return
        target = replaceable(path)
        if make_folders:
            target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            with draft.open("xb") as file:
                _give_rights_of(target, file)
                write(file)
                file.flush()
                os.fsync(file.fileno())  # some disks say only now that they are full
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


def is_stream(path: Path) -> bool:
    """Whether a path leads to a pipe, a device, or to something that this process has open (``/dev/stdout``)."""
    if _descriptor(path) is not None:
        return True
    try:
        return stat.S_IFMT(path.stat().st_mode) in _STREAMS
    except (OSError, ValueError):
        return False


def replaceable(path: Path) -> Path:
    """The file that a path leads to, links followed, whether there is one or not.

    Raises:
        InvalidSetting: there is something else, or links lead in a circle.
    """
    with _named(path):
        try:
            target = path.resolve()
            if not target.exists():
                return target
            kind = stat.S_IFMT(target.stat().st_mode)
        except (RuntimeError, ValueError) as error:  # links in a circle, a NUL
            raise InvalidSetting(f"{path} cannot be written: {error}") from None
        if kind != stat.S_IFREG:
            raise InvalidSetting(f"{path} cannot be written: it is {(_OTHERS | _STREAMS).get(kind, 'no file')}")
        return target


def why_unwritable(path: Path) -> str:
    """Why a file cannot be written there; folders that are missing are made."""
    if is_stream(path):
        return ""
    try:
        target = replaceable(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            return ""
    except InvalidSetting as error:
        return str(error).removeprefix(f"{path} cannot be written: ")
    except OSError as error:
        return _reason(path, error)


def _into_stream(path: Path, write: Write) -> None:
    # What cannot be made leaves no half behind, and some formats need to go back.
    with tempfile.SpooledTemporaryFile(_MOST_IN_MEMORY) as whole:
        write(cast("BinaryIO", whole))
        whole.seek(0)
        _copy(path, cast("BinaryIO", whole))


def _copy(path: Path, whole: BinaryIO) -> None:
    number = _descriptor(path)
    if number is not None and not os.get_inheritable(number):  # the database's, say: nobody has given it to us
        raise InvalidSetting(f"{path} cannot be written: this process has that open for itself")
    try:
        # Opening it anew would write to a file's beginning, and cut off what is there.
        with path.open("wb") if number is None else os.fdopen(os.dup(number), "wb") as out:
            shutil.copyfileobj(whole, out)
    except BrokenPipeError:
        if number != 1:  # whoever reads the output, such as `head`, may have seen enough
            raise


def _descriptor(path: Path) -> int | None:
    """The number under which this process has open what a path leads to, where it leads there by that number."""
    for _ in range(_MOST_LINKS):
        try:
            if found := _DESCRIPTOR.fullmatch(str(path.absolute())):
                return int(found[1])
            path = path.parent / path.readlink()
        except (OSError, ValueError):
            return None
    return None


def _give_rights_of(target: Path, file: BinaryIO) -> None:
    with contextlib.suppress(FileNotFoundError):
        old = target.stat()
        with contextlib.suppress(PermissionError):
            os.fchown(file.fileno(), old.st_uid, old.st_gid)
        os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidSetting(f"{path} cannot be written: {_reason(path, error)}") from None


def _reason(path: Path, error: OSError) -> str:
    if not path.is_absolute() and current_directory() is None:
        return "the current directory does not exist any more"
    if isinstance(error, BrokenPipeError):
        return "its reader ended before everything was written"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "its folder is a file"
    return error.strerror or str(error)
