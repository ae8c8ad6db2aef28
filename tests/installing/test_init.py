"""What `prefect-experiments init` writes in a fresh folder, with the package as users install it."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from support.patience import PATIENCE_S
from support.prefect_server import prefect_server

from .installed import install, posted, said, wait_until_scheduled

TICKETS = "id,text,intent,channel\n" + "".join(f"t{n},ticket {n},ticket {n},mail\n" for n in range(12))


@pytest.mark.slow
def test_what_init_writes_deploys_and_its_scheduled_run_passes(wheel: Path, tmp_path: Path) -> None:
    commands = install("uv", wheel, tmp_path / "environment")
    project = tmp_path / "project"
    project.mkdir()
    (project / "tickets.csv").write_text(TICKETS)
    subprocess.run(["git", "init", "-q", "-b", "trunk"], cwd=project, check=True)
    ours, prefect = str(commands / "prefect-experiments"), str(commands / "prefect")

    with prefect_server(python=commands / "python") as api:
        own = {
            "PREFECT_API_URL": api,
            "PREFECT_HOME": str(tmp_path / "home"),
            "DO_NOT_TRACK": "1",
            "PATH": f"{commands}:/usr/bin:/bin",
        }
        wrote = json.loads(said(ours, "init", "--yes", "--json", cwd=project, **own))
        assert wrote["dataset"] == "tickets.csv"
        tried, _, deploy = wrote["next"]
        assert "1.00 over 1 of 1" in said("bash", "-ec", tried, cwd=project, **own)

        said(prefect, "work-pool", "create", "evals", "--type", "process", **own)
        said("bash", "-ec", deploy.partition("&&")[0], cwd=project, **own)
        with httpx.Client(base_url=f"{api}/", trust_env=False, timeout=PATIENCE_S) as http:
            (deployment,) = posted(http, "deployments/filter")
            assert deployment["entrypoint"] == "prefect_experiments.flows.regression.regression"
            assert deployment["name"] == "nightly-project"
            wait_until_scheduled(http, {deployment["id"]: deployment["name"]})
            # One that its schedule has made, as if its time had come.
            waiting = [run for run in posted(http, "flow_runs/filter") if run["state_type"] == "SCHEDULED"]
            due = {
                "type": "SCHEDULED",
                "state_details": {"scheduled_time": str(datetime.now(UTC) - timedelta(seconds=1))},
            }
            http.post(f"flow_runs/{waiting[0]['id']}/set_state", json={"state": due, "force": True}).raise_for_status()
            log = said(prefect, "worker", "start", "--pool", "evals", "--run-once", cwd=project, **own)
            run = http.get(f"flow_runs/{waiting[0]['id']}").raise_for_status().json()
        assert run["state_name"] == "GatePassed", f"{run['state']}\n{log}"
        assert run["auto_scheduled"]
        assert "answered 1.00 over 12 of 12" in run["state"]["message"]

        # The workflow's gate, beside the baseline that the nightly run has made.
        steps = yaml.safe_load((project / ".github/workflows/evaluate.yml").read_text())["jobs"]["gate"]["steps"]
        (gate,) = [step["run"] for step in steps if "prefect-experiments run" in step.get("run", "")]
        said("bash", "-ec", gate, cwd=project, NAME="pull_request 7", **own)
        assert "**Passed**" in (project / "comment.md").read_text()
        (project / "evaluation.py").write_text((project / "evaluation.py").read_text().replace('input["text"]', '""'))
        said("bash", "-ec", gate, cwd=project, NAME="pull_request 8", code=1, **own)

        checked = json.loads(said(ours, "doctor", "--json", cwd=project, **own))
        assert checked["ok"]
        assert "work pool evals" in [check["what"] for check in checked["checks"]]
