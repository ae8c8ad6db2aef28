"""Results whose values are easily lost on the way: what comes in must come out, wherever they have been."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from prefect_experiments import RanExperiment

OUTPUTS: list[Any] = [
    {
        "z": 1.0,
        "a": 1,
        "big": 2**53 + 1,
        "most": 2**64 - 1,
        "least": -(2**63),
        "minus": -0.0,
        "e22": 1e22,
        "tiny": 5e-324,
    },
    [1.0, 1, True, None, "1.0", 0.1 + 0.2, 1e-300],
    " two  spaces\n\tand a tab ",
    1.0,
    "",
]
EVALUATIONS: list[dict[str, Any]] = [
    {"score": 0.1 + 0.2, "label": " yes ", "explanation": "  because\n\tof  this \r\n", "metadata.n": 1.0},
    {"score": 1e-300, "label": "1.0", "explanation": "\u00a0\u2003odd\u200b", "metadata.n": 2**53 + 1},
    {"score": 1e300, "label": "True", "metadata.n": {"z": [1.0, -0.0], "a": None}},
    {"score": -1.5, "metadata.n": "[1, 2]"},
    {"score": 0, "label": "null", "explanation": "ü 裁", "metadata.n": [1e22]},
]
LATENCIES = [245, 57.3, 0.001, 1234567.891, None]
ROWS = [
    {
        "example_id": f"e{n}",
        "output": output,
        "latency_ms": latency,
        **{f"eval.judge.{part}": value for part, value in evaluation.items()},
    }
    for n, (output, evaluation, latency) in enumerate(zip(OUTPUTS, EVALUATIONS, LATENCIES, strict=True))
]
ROWS[0] |= {"start_time": "2026-01-02T03:04:05.678901+02:00"}
ROWS[1] |= {"start_time": "2026-01-02T03:04:05.000001Z", "end_time": "2026-01-02T03:04:05.057301Z"}
EXAMPLES = [{"id": f"e{n}", "input": {"n": n}} for n in range(len(ROWS))]


def assert_kept(ran: RanExperiment) -> None:
    """The experiment has what `ROWS` have, to the last digit."""
    runs = {run.example_id: run for run in ran.task_runs}
    verdicts = {verdict.run_id: verdict for verdict in ran.evaluation_runs}
    for row in ROWS:
        run = runs[row["example_id"]]
        assert exactly(run.output) == exactly(row["output"])
        assert exactly(run.latency_ms) == exactly(row["latency_ms"] and float(row["latency_ms"]))
        for name in ("start_time", "end_time"):
            if name in row:
                assert getattr(run, name) == datetime.fromisoformat(row[name])
        verdict = verdicts[run.id]
        assert exactly(verdict.score) == exactly(float(row["eval.judge.score"]))
        assert (verdict.label, verdict.explanation) == (row.get("eval.judge.label"), row.get("eval.judge.explanation"))
        assert exactly(dict(verdict.metadata)) == exactly({"n": row["eval.judge.metadata.n"]})
    table = ran.to_dataframe().set_index("example_id")
    assert [None if value != value else value for value in table.loc[sorted(runs), "latency_ms"]] == LATENCIES


def exactly(value: Any) -> str:
    """Tells 1 from 1.0 and from -0.0, and keys in another order."""
    return json.dumps(value)
