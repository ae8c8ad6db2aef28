"""Processes as the store knows them: which one it is, and whether it has ended, where that can be known safely."""

from __future__ import annotations

import functools
import os
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

# Seconds by the machine's clock that goes on while it sleeps, and is never set.
clock: Callable[[], float] = time.monotonic
if hasattr(time, "CLOCK_BOOTTIME"):
    clock = functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME)

# The holders of this process that have something, as texts.
holding: set[str] = set()

# As `/proc` calls them: those that have ended, and whose parent has not asked after them yet, are there still.
_ENDED, _STOPPED = ("Z", "X"), ("T", "t")


@dataclass(frozen=True, slots=True)
class Process:
    """A holder in a process.

    Attributes:
        host: what its machine is called.
        machine: what no two machines that run at once have in common, nor two containers, which number their processes
            apart; another one after each start.
        pid: its number there.
        started: when it was started, as the machine counts; with the number it is the only one.
        token: tells the holders of one process apart.
    """

    host: str
    machine: str
    pid: int
    started: str
    token: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @classmethod
    def this(cls) -> Process:
        """A new holder in this process."""
        pid = os.getpid()
        return cls(socket.gethostname(), _machine(), pid, _stat(pid)[1], uuid.uuid4().hex)

    @classmethod
    def of(cls, text: str) -> Process:
        """The one that a text is of."""
        return cls(**orjson.loads(text))

    @property
    def text(self) -> str:
        """All of it, as it is kept."""
        return orjson.dumps(asdict(self)).decode()

    def lives(self) -> bool | None:
        """Whether it is running; ``None`` where that cannot be known: on another machine, or while it is stopped."""
        if os.name != "posix" or self.machine != _machine():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # it is there, and another user's
            return None
        state, started = _stat(self.pid)
        if state in _ENDED or started != self.started:
            return False
        if self.pid == os.getpid():
            return self.text in holding
        return None if state in _STOPPED else True

    def seconds_since(self, moment: float) -> float | None:
        """How long ago a moment by its `clock` was; ``None`` where that is another one than here."""
        return clock() - moment if self.machine == _machine() else None


@functools.cache
def _machine() -> str:
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return f"{socket.gethostname()} {uuid.getnode():x}"


def _stat(pid: int) -> tuple[str, str]:
    """The state of a process and when it was started; empty where the machine does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[0], fields[19]
