"""Several hosts on this machine: network namespaces with addresses of their own, joined by a bridge. Linux, as root.

    with hosts(3) as found:
        found[0].start(["python", "-m", "..."], environment, log)
        found[0].cut()

Each has its own network, name and process numbers; the file system is shared.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

_NET = f"10.231.{os.getpid() % 200 + 20}"
_NAME = f"pe{os.getpid() % 10_000}"  # of an interface, at most 15 characters
BRIDGE = f"{_NET}.1"
"""The address of this host, which the others reach."""


@dataclass(frozen=True)
class Host:
    """One of the hosts."""

    number: int

    @property
    def name(self) -> str:
        """What it calls itself."""
        return f"{_NAME}-{self.number}"

    @property
    def address(self) -> str:
        """In the network."""
        return f"{_NET}.{10 + self.number}"

    @property
    def _cable(self) -> str:
        return f"{_NAME}v{self.number}"

    @contextlib.contextmanager
    def running(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a program on it, and end it at the end."""
        of_its_own = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        as_it_is_called = ["sh", "-c", 'hostname "$0" && exec "$@"', self.name, *command]
        with (folder / f"{self.name}.log").open("ab") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *of_its_own, *as_it_is_called],
                env=dict(environment), cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def make(self) -> None:
        inside = ["netns", "exec", self.name, "ip"]
        _ip("netns", "add", self.name)
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("link", "set", self._cable, "master", _NAME, "up")
        _ip(*inside, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")
        _ip(*inside, "link", "set", "lo", "up")

    def remove(self) -> None:
        _ip("link", "del", self._cable, check=False)
        _ip("netns", "del", self.name, check=False)

    def cut(self) -> None:
        """Pull its cable: nobody is told of it."""
        _ip("link", "set", self._cable, "down")

    def mend(self) -> None:
        """Put it in again."""
        _ip("link", "set", self._cable, "up")


@contextlib.contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """So many hosts; the test is skipped where they cannot be made."""
    if os.name != "posix" or os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("unshare")):
        pytest.skip("network namespaces need Linux, root, and the commands ip and unshare")
    made = [Host(number) for number in range(1, count + 1)]
    try:
        try:
            _ip("link", "add", _NAME, "type", "bridge")
            _ip("addr", "add", f"{BRIDGE}/24", "dev", _NAME)
            _ip("link", "set", _NAME, "up")
            for host in made:
                host.make()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
        yield made
    finally:
        for host in made:
            host.remove()
        _ip("link", "del", _NAME, check=False)


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)
