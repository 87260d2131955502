"""The recipe for Kubernetes: its schema takes it, each exit code is met, and a pod has no rights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from docproc.errors import Exit
from docproc.init import RECIPES, RecipeName
from tests.unit.recipe_texts import LONGEST_STOP, SCHEDULED, files_of, max_duration, text

MANIFESTS = files_of(RecipeName.KUBERNETES)
manifests = pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)


def job_of(path: Path) -> dict[str, Any]:
    """The Job that a CronJob makes."""
    (manifest,) = yaml.safe_load_all(text(path))
    assert manifest["kind"] == "CronJob"
    return dict(manifest["spec"]["jobTemplate"]["spec"])


@manifests
def test_kubernetes_takes_the_manifest_by_its_schema_and_not_one_with_a_mistake(path: Path) -> None:
    kubernetes = pytest.importorskip("kubernetes_validate", reason="too large for every run: nox -s recipes")
    (manifest,) = yaml.safe_load_all(text(path))
    for version in ("1.31", kubernetes.latest_version()):
        kubernetes.validate(manifest, version, strict=True)
    manifest["spec"]["jobTemplate"]["spec"]["backofLimit"] = 4
    with pytest.raises(kubernetes.ValidationError):
        kubernetes.validate(manifest, "1.31", strict=True)


@manifests
def test_the_job_meets_every_exit_code_once(path: Path) -> None:
    job = job_of(path)
    rules = [rule for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    action = {code: rule["action"] for rule in rules for code in rule["onExitCodes"]["values"]}
    assert sum(len(rule["onExitCodes"]["values"]) for rule in rules) == len(action)
    assert set(action) == SCHEDULED
    again = {Exit.WORK_LEFT, Exit.DATABASE, Exit.INTERRUPTED, Exit.TERMINATED}
    assert {code for code, name in action.items() if name == "Count"} == again
    assert {name for code, name in action.items() if code not in again} == {"FailJob"}
    (name,) = {rule["onExitCodes"]["containerName"] for rule in rules}
    assert [name] == [container["name"] for container in job["template"]["spec"]["containers"]]
    # A pod that is pushed out must not count, whatever its exit code.
    assert "onPodConditions" in job["podFailurePolicy"]["rules"][0]
    assert job["template"]["spec"]["restartPolicy"] == "Never"


@manifests
def test_the_pod_has_time_for_an_orderly_stop(path: Path) -> None:
    job = job_of(path)
    (container,) = job["template"]["spec"]["containers"]
    grace = job["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > LONGEST_STOP
    assert job["activeDeadlineSeconds"] > max_duration(" ".join(container["args"])) + grace


@manifests
def test_the_pod_has_no_rights_and_writes_nowhere_but_where_docproc_keeps_its_things(path: Path) -> None:
    spec = job_of(path)["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not spec["automountServiceAccountToken"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    writable = {place for place, mount in mounts.items() if not mount.get("readOnly")}
    environ = {one["name"]: one["value"] for one in container["env"]}
    assert writable == {environ["DOCPROC_HOME"], "/tmp"}
    assert any(environ["DOCPROC_CONFIG"].startswith(f"{place}/") for place in mounts)
    assert {mount["name"] for mount in mounts.values()} == {volume["name"] for volume in spec["volumes"]}
    assert f"USER {spec['securityContext']['runAsUser']}:" in text(RECIPES / "container/Containerfile")
