"""Print the template of the work pool's jobs: the one of prefect-kubernetes, and what workers of experiments need.

    python deployments/kubernetes/job_template.py > job-template.json
    prefect work-pool create experiments --type kubernetes --base-job-template job-template.json

The secret `experiments` of the namespace becomes the environment of each job: the store's URL, and the keys of models.
"""

from __future__ import annotations

import json
from typing import Any

from prefect_kubernetes.worker import KubernetesWorker

GRACE_S = 60
"""What a worker that Kubernetes ends has left for the calls that it has begun."""


def job_template() -> dict[str, Any]:
    """The template."""
    template: dict[str, Any] = KubernetesWorker.get_default_base_job_template()
    pod = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    container["envFrom"] = [{"secretRef": {"name": "experiments"}}]
    container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod["securityContext"] = {"runAsNonRoot": True, "runAsUser": 1000}
    pod["automountServiceAccountToken"] = False
    pod["terminationGracePeriodSeconds"] = GRACE_S
    variables = template["variables"]["properties"]
    variables["namespace"]["default"] = "experiments"
    variables["finished_job_ttl"]["default"] = 3600
    return template


if __name__ == "__main__":
    print(json.dumps(job_template(), indent=2))
