"""A comparison in which everything that is not ours tries to act as markup."""

from __future__ import annotations

from typing import Any

from prefect_experiments.analysis.comparison import compare_results
from prefect_experiments.analysis.gate import Gate, Metric
from prefect_experiments.reports.html import html_report

from .made import side, table

SCRIPT = "<script>window.ran = 1</script>"
IMAGE = '"><img src="https://evil.example/x.png" onerror="window.ran = 2">'
END = "</script></style></title><!--"
METRIC = f"metric {SCRIPT}"
EXAMPLE = f"example {SCRIPT}{IMAGE}"
OUTPUT = f"{END}{SCRIPT}{IMAGE}\u2028 end"


def hostile_report() -> str:
    """The page of that comparison."""

    def rows(output: str, score: float) -> list[dict[str, Any]]:
        return [
            {
                "example_id": EXAMPLE,
                "repetition_number": 1,
                "input": {IMAGE: SCRIPT},
                "expected": [OUTPUT],
                "output": output,
                "status": "ok",
                "error": None,
                "latency_ms": 12.0,
                "trace_id": SCRIPT,
                f"eval.{METRIC}.score": score,
                f"eval.{METRIC}.label": IMAGE,
                f"eval.{METRIC}.explanation": OUTPUT,
                f"annotation.{METRIC}.text": SCRIPT,
            },
            {"example_id": f"failed {SCRIPT}", "repetition_number": 1, "status": "error", "error": OUTPUT},
        ]

    before, after = rows("safe " + OUTPUT, 1.0), rows("other " + OUTPUT, 0.0)
    old = table(before, f"baseline {SCRIPT}{IMAGE}", "javascript:window.ran=3")
    new = table(
        after, f"candidate {END}{SCRIPT}", "https://phoenix.example.com/?a=1&b=\"'><script>window.ran=4</script>"
    )
    comparison = compare_results(old, new, gate=Gate(metrics={METRIC: Metric(min=2)}))
    candidate, baseline = side(after, new.label, new.url), side(before, old.label, old.url)
    matrix = {
        "labels": [SCRIPT, IMAGE],
        "matrix": [[1, 2], [3, 4]],
        SCRIPT: 0.5,
        "notes": [SCRIPT],
        SCRIPT + "s": {SCRIPT: 1.0},
    }
    return html_report(
        comparison, candidate, baseline, title=f"title {END}{SCRIPT}{IMAGE}", classification={SCRIPT: matrix}
    )
