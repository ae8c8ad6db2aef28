"""What can be said of the manifests without a cluster: what they name is there, and no secret's value is in them."""

from __future__ import annotations

import re
from typing import Any

import yaml

from prefect_experiments.references import load_reference

from .stack import ROOT

FOLDER = ROOT / "deployments/kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())


def objects() -> list[dict[str, Any]]:
    found = [yaml.safe_load((FOLDER / name).read_text()) for name in KUSTOMIZATION["resources"]]
    return [item for one in found for item in (one["items"] if one["kind"] == "List" else [one])]


def pods() -> list[dict[str, Any]]:
    return [one["spec"]["template"]["spec"] for one in objects() if one["kind"] == "Deployment"]


def test_every_manifest_is_applied_and_in_the_namespace() -> None:
    others = {"kustomization.yaml", "prefect.yaml"}
    assert {path.name for path in FOLDER.glob("*.yaml")} - others == set(KUSTOMIZATION["resources"])
    [namespace] = [one["metadata"]["name"] for one in objects() if one["kind"] == "Namespace"]
    inside = [one for one in objects() if one["kind"] != "Namespace"]
    assert {one["metadata"]["namespace"] for one in inside} == {namespace} == {KUSTOMIZATION["namespace"]}


def test_selectors_find_the_pods_that_they_mean() -> None:
    deployments = [one for one in objects() if one["kind"] == "Deployment"]
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in deployments]
    for deployment, own in zip(deployments, labels, strict=True):
        assert deployment["spec"]["selector"]["matchLabels"] == own
    [service] = [one for one in objects() if one["kind"] == "Service"]
    assert labels.count(service["spec"]["selector"]) == 1
    [port] = service["spec"]["ports"]
    addresses = {arg for pod in pods() for container in pod["containers"] for arg in container["args"] if ":/" in arg}
    assert addresses == {f"tcp://{service['metadata']['name']}:{port['port']}"}


def test_containers_have_an_image_bounds_and_no_secrets_value() -> None:
    images = {one["name"] for one in KUSTOMIZATION["images"]}
    assert not [one for one in objects() if one["kind"] == "Secret"]
    for container in (container for pod in pods() for container in pod["containers"]):
        assert container["image"] in images
        assert {"requests", "limits"} <= set(container["resources"])
        for variable in container.get("env", []):
            name, is_secret = variable["name"], re.search(r"(URL|KEY|AUTH_STRING)$", variable["name"])
            assert ("valueFrom" in variable) is (is_secret is not None and "SECRET" not in name), name


def test_the_work_pool_is_the_one_that_is_served_and_the_flow_a_workers() -> None:
    [deployment] = yaml.safe_load((FOLDER / "prefect.yaml").read_text())["deployments"]
    [serving] = [pod["containers"][0]["args"] for pod in pods() if "prefect" in pod["containers"][0]["args"]]
    assert serving[serving.index("--pool") + 1] == deployment["work_pool"]["name"]
    assert load_reference(":".join(deployment["entrypoint"].rsplit(".", 1))).name == "worker"
    [image] = KUSTOMIZATION["images"]
    assert deployment["work_pool"]["job_variables"]["image"] == f"{image['newName']}:{image['newTag']}"
