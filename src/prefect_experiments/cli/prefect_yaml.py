"""The project's prefect.yaml: a whole one with one deployment, or the one that is there with one deployment more."""

from __future__ import annotations

import re
from typing import Any

from prefect_experiments.errors import InvalidSetting

_NOTHING_WRITTEN = "Nothing was written"


def with_only(deployment: str, project: str) -> str:
    """A file of its own.

    Args:
        deployment: the entry, indented as in a list under ``deployments``.
        project: its name.
    """
    head = (
        "# The evaluation of this project as a Prefect deployment, written by `prefect-experiments init`:\n"
        "#\n#   prefect --no-prompt deploy --all     (in this folder)\n\n"
    )
    return f'{head}name: "{project}"\n\ndeployments:\n{deployment}'


def with_one_more(text: str, deployment: str, name: str, project: str) -> str:
    """The text of a prefect.yaml, with one deployment more; all else, comments too, is as it was.

    Args:
        text: of the file that is there.
        deployment: as for `with_only`, as is ``project``.
        name: the deployment's.
        project: for a file that says nothing yet.

    Raises:
        InvalidSetting: it has such a deployment already, or is not written so that one can be added.
    """
    import yaml

    try:
        content, tree = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise InvalidSetting(f"prefect.yaml is no YAML: {said}. {_NOTHING_WRITTEN}") from None
    before = content.get("deployments") if isinstance(content, dict) else None
    if isinstance(before, list) and any(isinstance(one, dict) and one.get("name") == name for one in before):
        raise InvalidSetting(
            f"prefect.yaml has a deployment called {name} already; rename it, or say --force to replace the file. "
            f"{_NOTHING_WRITTEN}"
        )
    made = _made(text, content, tree, deployment, project)
    try:
        after = yaml.safe_load(made)["deployments"] if made else None
    except (yaml.YAMLError, TypeError, KeyError):
        after = None
    if made is None or not isinstance(after, list) or after[:-1] != (before or []):
        raise InvalidSetting(
            "the deployments of prefect.yaml are no list with one entry a line, so none can be added; write them "
            f"so, or say --force to replace the file. {_NOTHING_WRITTEN}"
        )
    return made


def _made(text: str, content: Any, tree: Any, deployment: str, project: str) -> str | None:
    """The text with the deployment; ``None`` where there is no place for it."""
    if content is None:
        return f"{text.rstrip()}\n\n{with_only(deployment, project)}".lstrip("\n")
    if not isinstance(content, dict):
        return None
    if "deployments" not in content:
        return f"{text.rstrip()}\n\ndeployments:\n{deployment}"
    node = next(value for key, value in tree.value if key.value == "deployments")
    if content["deployments"] in (None, []):
        start, end = node.start_mark.index, node.end_mark.index
        return f"{text[:start].rstrip()}\n{deployment.rstrip()}{text[end:] or chr(10)}"
    if not isinstance(content["deployments"], list) or node.flow_style:
        return None
    lines = text.splitlines(keepends=True)
    end = max(_last_line(one) for one in node.value) + 1
    indent = " " * (node.start_mark.column - 2) if node.start_mark.column > 2 else ""
    block = deployment if node.start_mark.column else re.sub(r"^  ", "", deployment, flags=re.MULTILINE)
    added = "".join(f"{indent}{line}" if line.strip() else line for line in block.splitlines(keepends=True))
    return f"{''.join(lines[:end]).rstrip()}\n\n{added.rstrip()}\n{''.join(lines[end:])}"


def _last_line(node: Any) -> int:
    """The number of the last line that something is on."""
    import yaml

    if isinstance(node, yaml.ScalarNode) or not node.value:
        mark = node.end_mark
        return int(mark.line - (mark.column == 0 and mark.line > node.start_mark.line))
    parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
    ends = [_last_line(part) for part in parts]
    return max([*ends, int(node.end_mark.line) if node.flow_style else 0])
