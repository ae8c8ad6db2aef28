"""Loading a dataset takes no more memory where there are more rows: the peak of fresh processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FEW, MANY = 15_000, 150_000
# What 135,000 further rows took when all were held: 290 MB at least. Caches that fill up are the rest.
GROWTH_MB = 90

MEASURED = """
import sys
from prefect_experiments import Client, datasets
from prefect_experiments.options import Sample

url, name, file = sys.argv[1:]
client = Client(store_url=url)
client.datasets.create_dataset(name=name, file=file)
client.datasets.create_dataset(name=name, file=file, if_exists="reuse")
client.datasets.update_examples(dataset=name, examples=[{"id": "e7", "input": "new"}, {"id": "new", "input": "new"}])
made = client.datasets.add_examples_to_dataset(dataset=name, examples=[{"input": "last"}])
assert len(datasets.draw(made.examples, Sample(n=1000))) == 1000
assert len(client.datasets.list_examples(dataset=name).examples) == 50
# Not ru_maxrss, which begins with that of the process that started this one.
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM")))
"""


def written(folder: Path, kind: str, count: int) -> Path:
    path = folder / f"rows-{count}.{kind}"
    rows = (
        {"id": f"e{i}", "input": f"question {i} " + "x" * 300, "output": f"a{i % 97}", "topic": f"t{i % 13}"}
        for i in range(count)
    )
    if kind == "parquet":
        import pandas as pd

        pd.DataFrame(rows).to_parquet(path, index=False)  # in one row group
        return path
    with path.open("w") as file:
        if kind == "csv":
            file.write("id,input,output,topic\n")
        for row in rows:
            file.write((json.dumps(row) if kind == "jsonl" else ",".join(row.values())) + "\n")
    return path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_the_peak_does_not_grow_with_the_rows(kind: str, store_url: str, tmp_path: Path) -> None:
    peaks = []
    for count in (FEW, MANY):
        arguments = [store_url, f"{kind}-{count}", str(written(tmp_path, kind, count))]
        done = subprocess.run([sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < GROWTH_MB, peaks
