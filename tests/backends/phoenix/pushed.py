"""The process that `test_push_processes.py` kills: runs an experiment on Phoenix, goes on with one, or pushes it.

usage: pushed.py PHOENIX_URL STORE_URL EXAMPLES run NAME | resume EXPERIMENT | push EXPERIMENT
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from backends.phoenix.doubling import options, phoenix, rows

if __name__ == "__main__":
    url, store_url, examples, what, which = sys.argv[1:]
    experiments = phoenix(url, store_url).experiments
    if what == "run":
        ran = experiments.run_experiment(dataset=rows(int(examples)), experiment_name=which, **options)
    elif what == "resume":
        ran = experiments.resume_experiment(experiment=which, **options)
    else:
        ran = experiments.push(experiment=which)
    print(ran.experiment_id, ran.waiting)
