"""Looking at an SQLite file beside SQLite, and what has become of it since it was looked at last."""

from __future__ import annotations

import os
import struct
import threading
from collections import Counter
from pathlib import Path
from typing import NamedTuple

_MAGIC = b"SQLite format 3\0"
_HEADER_SIZE = 100


class Header(NamedTuple):
    """What the file's first bytes say.

    Attributes:
        size: of the whole file in bytes, at least.
        changes: counts up.
        owner: which store it is (`PRAGMA user_version`); 0 where it was made before that was noted.
        mode: 2 where there is a write-ahead log, which a store in use always has and a backup has not.
    """

    size: int
    changes: int
    owner: int
    mode: int


class Seen(NamedTuple):
    """The file as it was when it was looked at last; without a header it is empty, or no database."""

    number: tuple[int, int]  # device and inode
    size: int
    changed_at: int
    header: Header | None


class _Glances:
    """Looks at files that SQLite has open, beside it.

    Closing any descriptor of a file takes all locks on it from the process, SQLite's as well. So there is one for each
    file, closed when no connection to it is left.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptors: dict[tuple[int, int], int] = {}
        self._connections: Counter[tuple[int, int]] = Counter()

    def at(self, path: Path) -> Seen:
        """The file as it is now.

        Raises:
            OSError: there is none.
        """
        with self._lock:
            found = path.stat()
            descriptor = self._descriptors.get((found.st_dev, found.st_ino))
            if descriptor is None:
                descriptor = os.open(path, os.O_RDONLY)
                found = os.fstat(descriptor)  # it may be another one by now
                self._descriptors[found.st_dev, found.st_ino] = descriptor
            header = _header(os.pread(descriptor, _HEADER_SIZE, 0))
            found = os.fstat(descriptor)
            return Seen((found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns, header)

    def connected(self, number: tuple[int, int], change: int) -> None:
        """Take note that there is a connection more to a file, or one less."""
        with self._lock:
            self._connections[number] += change

    def sweep(self) -> None:
        """Close what nobody needs any more: not at once, because a connection is closed after it has been said."""
        with self._lock:
            for number in [number for number in self._descriptors if self._connections[number] <= 0]:
                del self._connections[number]
                os.close(self._descriptors.pop(number))

    def forked(self) -> None:
        """A thread of the parent may have been looking."""
        self._lock = threading.Lock()


glances = _Glances()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=glances.forked)


def _header(first: bytes) -> Header | None:
    if len(first) < _HEADER_SIZE or not first.startswith(_MAGIC):
        return None
    page_size, mode, changes, pages, owner = struct.unpack_from(">16xHB5xII28xI", first)
    return Header((page_size if page_size != 1 else 65536) * pages, changes, owner, mode)


def difference(before: Seen, now: Seen) -> str | None:
    """What nobody but SQLite would have left as it is."""
    then, header = before.header, now.header
    if then is None:
        return None
    if header is None or (now.size < header.size and now.size < before.size):
        return "was cut short or overwritten"
    if then.owner and header.owner != then.owner:
        return "was overwritten with another one"
    is_older = header.changes < then.changes or header.mode < then.mode
    return "was overwritten with an older copy" if is_older else None
