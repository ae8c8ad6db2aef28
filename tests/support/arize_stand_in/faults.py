"""Faults on demand: what happens to which request, and how often."""

from __future__ import annotations

import random
import re
import threading
from typing import Any


class Fault:
    """One rule.

    Fields of its JSON: `method` and `path` (a regular expression) say which requests; of those `skip` are spared,
    then `times` are hit (all of them without), each with `chance` (1 without). What happens:

    - `delay`: seconds before anything else
    - `status`, with `headers` and `text`: that answer; the request is not applied unless `applied`
    - `cut`: the connection is closed `before` the request is applied, `after`, or in the `middle` of the answer to it
    - `garbage`: this text as the answer, with `status` (200 without) and `type`; applied if `applied`
    """

    def __init__(self, rule: dict[str, Any]) -> None:
        self.rule = rule
        self._path = re.compile(rule.get("path", ""))
        self._seen = 0
        self._hits = 0
        self._random = random.Random(rule.get("seed", 0))

    def hits(self, method: str, path: str) -> bool:
        if self.rule.get("method", method) != method or not self._path.search(path):
            return False
        self._seen += 1
        if self._seen <= self.rule.get("skip", 0):
            return False
        if self.rule.get("times") is not None and self._hits >= self.rule["times"]:
            return False
        if self._random.random() >= self.rule.get("chance", 1.0):
            return False
        self._hits += 1
        return True


class Plan:
    """All rules, in order: the first that hits is what happens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def set(self, rules: list[dict[str, Any]]) -> None:
        with self._lock:
            self._faults = [Fault(rule) for rule in rules]

    def next(self, method: str, path: str) -> dict[str, Any]:
        with self._lock:
            for fault in self._faults:
                if fault.hits(method, path):
                    return fault.rule
        return {}
