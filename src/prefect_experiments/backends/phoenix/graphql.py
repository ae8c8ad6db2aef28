"""What Phoenix's REST API cannot give: the results of an experiment whose name no HTTP header can hold."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from prefect_experiments.backends.http import Http
from prefect_experiments.errors import BackendRefused

_RESULTS = """
query($id: ID!, $after: String) {
  node(id: $id) {
    ... on Experiment {
      runs(first: 500, after: $after) {
        pageInfo { hasNextPage endCursor }
        edges {
          node {
            repetitionNumber
            example { id }
            costSummary { prompt { tokens } completion { tokens } }
            annotations(first: 1000) {
              edges {
                node { name annotatorKind label score explanation error metadata startTime endTime traceId }
              }
            }
          }
        }
      }
    }
  }
}
"""


def fits_a_header(name: str) -> bool:
    """Whether Phoenix's endpoint can name its answer after an experiment; it fails where it cannot."""
    return name.isprintable() and all(ord(letter) < 256 for letter in name)


async def results_by_graphql(http: Http, experiment_id: str) -> list[dict[str, Any]]:
    """What `PhoenixApi.results` gives, as far as it is needed."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        body = {"query": _RESULTS, "variables": {"id": experiment_id, "after": after}}
        answer = await http.patiently("POST", "/graphql", json=body)
        try:
            runs = answer["data"]["node"]["runs"]
        except (KeyError, TypeError):
            raise BackendRefused(f"{http.address} does not give the results of {experiment_id}") from None
        found += [_result(edge["node"]) for edge in runs["edges"]]
        if not runs["pageInfo"]["hasNextPage"]:
            return found
        after = runs["pageInfo"]["endCursor"]


def _result(node: Mapping[str, Any]) -> dict[str, Any]:
    cost = node["costSummary"]
    return {
        "example_id": node["example"]["id"],
        "repetition_number": node["repetitionNumber"],
        "prompt_token_count": _whole(cost["prompt"]["tokens"]),
        "completion_token_count": _whole(cost["completion"]["tokens"]),
        "annotations": [_annotation(edge["node"]) for edge in node["annotations"]["edges"]],
    }


def _annotation(node: Mapping[str, Any]) -> dict[str, Any]:
    trace = node["traceId"]  # a global id: base64 of Trace:...
    return {
        **{name: node[name] for name in ("name", "label", "score", "explanation", "error", "metadata")},
        "annotator_kind": node["annotatorKind"],
        "start_time": node["startTime"],
        "end_time": node["endTime"],
        "trace_id": None if trace is None else base64.b64decode(trace).decode().removeprefix("Trace:"),
    }


def _whole(tokens: Any) -> int | None:
    return None if tokens is None else int(tokens)
