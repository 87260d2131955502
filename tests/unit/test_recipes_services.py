"""The recipes for systemd and GitHub Actions: both would take them, and each exit code is met."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from docproc.errors import Exit
from docproc.init import RECIPES, RecipeName
from docproc.report import FailOn
from docproc.run import report_of
from docproc.settings import Secrets
from docproc.states import Command
from tests.unit.recipe_texts import LONGEST_STOP, SCHEDULED, files_of, max_duration, run_script, stand_in, text

PRODUCTION = {"DATABASE_URL", "LLAMA_CLOUD_API_KEY", "OPENAI_API_KEY", "SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"}
"""The secrets of the profile production."""


# ── systemd ─────────────────────────────────────────────────────────────────────────────────────────────────────────

UNITS = [path for path in files_of(RecipeName.SYSTEMD) if path.suffix != ".sh"]
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")


def unit(name: str) -> dict[str, list[str]]:
    """The values of a unit by their key, those of all its sections."""
    values = defaultdict(list)
    for key, value in re.findall(r"^(\w+)=(.*)$", text(RECIPES / "systemd" / name), re.M):
        values[key].append(value)
    return values


def codes(told: list[str]) -> set[int]:
    """The exit codes of a value of a unit."""
    return {int(code) for value in told for code in value.split()}


def seconds(span: str) -> float:
    """Of a time span of systemd: 180, 2h 10min."""
    units = {"": 1, "s": 1, "min": 60, "h": 3600}
    return sum(float(number) * units[name] for number, name in re.findall(r"(\d+)(\w*?)(?: |$)", span))


def verified(folder: Path, change: tuple[str, str] = ("", "")) -> str:
    """What systemd has to say against the units, with the commands that they run on a machine that has none."""
    for path in UNITS:
        told = (
            text(path)
            .replace("/opt/docproc/bin/docproc", "/bin/true")
            .replace("/etc/docproc/docproc-failed.sh", "/bin/true")
        )
        (folder / path.name).write_text(told.replace(*change) if change[0] else told)
    line = ["systemd-analyze", "verify", "--recursive-errors=no", *(str(folder / path.name) for path in UNITS)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr + (f"exit {done.returncode}" if done.returncode else "")


@needs_systemd
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    assert verified(tmp_path) == ""


@needs_systemd
@pytest.mark.parametrize("change", [("KillMode=mixed", "KillMod=mixed"), ("OnCalendar=*:0/15", "OnCalendar=*:0/99x")])
def test_systemd_would_not_take_a_unit_with_a_mistake(tmp_path: Path, change: tuple[str, str]) -> None:
    assert verified(tmp_path, change) != ""


@needs_systemd
def test_the_service_is_exposed_as_little_as_it_can_be(tmp_path: Path) -> None:
    verified(tmp_path)
    line = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(tmp_path / "docproc.service")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-200:]


def test_the_service_meets_every_exit_code_once() -> None:
    service = unit("docproc.service")
    fine, told = codes(service["SuccessExitStatus"]), codes(service["RestartPreventExitStatus"])
    assert service["Restart"] == ["on-failure"]
    assert fine & told == set()
    assert SCHEDULED - fine - told == {Exit.DATABASE}  # tried again
    assert fine == {Exit.WORK_LEFT, Exit.INTERRUPTED, Exit.TERMINATED}


def test_the_service_runs_as_a_user_without_rights() -> None:
    service = unit("docproc.service")
    for key, value in (("DynamicUser", "yes"), ("ProtectSystem", "strict"), ("CapabilityBoundingSet", "")):
        assert service[key] == [value]


def test_the_service_has_time_for_an_orderly_stop() -> None:
    service = unit("docproc.service")
    assert service["KillSignal"] == ["SIGTERM"]
    (stop,), (start,) = service["TimeoutStopSec"], service["TimeoutStartSec"]
    assert seconds(stop) > LONGEST_STOP
    assert seconds(start) > max_duration(service["ExecStart"][0]) + LONGEST_STOP


def test_every_secret_of_production_reaches_the_service_as_a_file() -> None:
    service = unit("docproc.service")
    loaded = dict(value.split(":") for value in service["LoadCredential"])
    given = dict(re.findall(r"^(\w+)_FILE=%d/(.*)$", "\n".join(service["Environment"]), re.M))
    assert set(given) == PRODUCTION
    assert set(given) <= {f.name.upper() for f in fields(Secrets)}
    assert set(given.values()) == set(loaded)
    assert {name.lower().replace("_", "-") for name in given} == set(loaded)


@pytest.mark.parametrize("code", sorted(SCHEDULED), ids=lambda code: code.name)
def test_a_failure_of_the_service_is_told_with_what_to_do(tmp_path: Path, code: Exit) -> None:
    stand_in(tmp_path, "alert", 'echo "$1: $(cat)"')
    environ = {
        "MONITOR_EXIT_STATUS": str(int(code)),
        "ALERT_COMMAND": "alert now",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }
    done = run_script(RECIPES / "systemd/docproc-failed.sh", "docproc", env=environ)
    journal, alert = done.stdout.splitlines()
    assert journal.startswith("<5>" if code is Exit.SOME_FAILED else "<3>")
    assert alert == f"now: {journal[3:]}"
    quiet = {Exit.WORK_LEFT, Exit.INTERRUPTED, Exit.TERMINATED}  # not failures of the service
    assert ("it was killed" in journal) == (code in quiet)


# ── GitHub Actions ──────────────────────────────────────────────────────────────────────────────────────────────────

WORKFLOW = RECIPES / "github/docproc.yml"


def workflow() -> dict[Any, Any]:
    """The workflow; YAML 1.1 reads its key ``on`` as true."""
    return dict(yaml.safe_load(text(WORKFLOW)))


def step(name: str) -> str:
    """The script of a step of the nightly job."""
    (found,) = (step["run"] for step in workflow()["jobs"]["nightly"]["steps"] if step.get("name") == name)
    return str(found)


def checked_by_schema(path: Path) -> int:
    """The exit code of check-jsonschema, with the schema of workflows that it carries."""
    pytest.importorskip("check_jsonschema", reason="check-jsonschema, of the extra dev, is not installed")
    line = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    return subprocess.run(line, capture_output=True, timeout=60, check=False).returncode


def test_the_workflow_is_one_by_its_schema_and_one_with_a_mistake_is_not(tmp_path: Path) -> None:
    assert checked_by_schema(WORKFLOW) == 0
    (tmp_path / "wrong.yml").write_text(text(WORKFLOW).replace("runs-on:", "run-on:"))
    assert checked_by_schema(tmp_path / "wrong.yml") == 1


def test_a_pull_request_sees_no_secret_and_pays_for_nothing() -> None:
    told = workflow()
    assert told["permissions"] == {"contents": "read"}
    assert "env" not in told
    assert "secrets." not in json.dumps(told["jobs"]["try"])
    assert "production" not in json.dumps(told["jobs"]["try"]["steps"])
    assert told["jobs"]["try"]["if"] == "github.event_name == 'pull_request'"
    assert told["jobs"]["nightly"]["if"] == "github.event_name != 'pull_request'"


def test_the_nightly_run_alone_has_the_secrets_of_production_and_time_to_stop() -> None:
    nightly = workflow()["jobs"]["nightly"]
    secrets = {name: f"${{{{ secrets.{name} }}}}" for name in PRODUCTION}
    assert [one.get("env") for one in nightly["steps"] if "secrets." in json.dumps(one)] == [secrets]
    assert "env" not in nightly
    assert nightly["timeout-minutes"] * 60 > max_duration(step("Run")) + LONGEST_STOP + 600


@pytest.fixture
def runner(tmp_path: Path) -> Mapping[str, str]:
    """The environment of a step, with a docproc that ends as $ENDS says, and a sleep that does not."""
    stand_in(tmp_path / "bin", "docproc", 'echo "{}"; exit $ENDS')
    stand_in(tmp_path / "bin", "sleep", 'echo "slept $1"')
    return {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}


@pytest.mark.parametrize("code", list(Exit), ids=lambda code: code.name)
def test_a_night_is_red_when_somebody_must_act(
    tmp_path: Path, runner: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, code: Exit
) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "step.sh"
    script.write_text(step("Run"))
    bash = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
    done = run_script(script, env={**runner, "ENDS": str(int(code))}, shell=bash)
    goes_on = {Exit.OK, Exit.SOME_FAILED, Exit.WORK_LEFT, Exit.INTERRUPTED, Exit.TERMINATED}
    assert done.returncode == (0 if code in goes_on else code)
    levels = re.findall(r"^::(\w+) title=docproc::.", done.stdout, re.M)
    wanted = {Exit.OK: [], Exit.SOME_FAILED: ["warning"]}.get(code, ["notice"] if code in goes_on else ["error"])
    assert levels == wanted
    assert "does not have" not in done.stdout
    assert done.stdout.count("slept") == (3 if code is Exit.DATABASE else 0)


def test_the_summary_of_a_night_tells_what_its_json_lines_tell(tmp_path: Path) -> None:
    receipt = report_of("run-all", tuple(Command), fail_on=FailOn()).receipt()
    lines: list[dict[str, Any]] = [
        {"type": "start"},
        {"type": "document", "source": "a.pdf", "state": "complete", "code": None},
        {"type": "document", "source": "b.pdf", "state": "failed_parse", "code": "parse.timeout", "try": "wait"},
        {"type": "summary", **receipt},
    ]
    (tmp_path / "run.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = tmp_path / "page.md"
    environ = {**os.environ, "GITHUB_STEP_SUMMARY": str(page)}
    subprocess.run([sys.executable, "-c", step("Summary")], cwd=tmp_path, env=environ, check=True, timeout=30)
    told = page.read_text("utf-8")
    assert "| `parse.timeout` | `b.pdf` | wait |" in told
    assert "a.pdf" not in told
    named = re.findall(r"\w+", told.splitlines()[0])
    assert set(named) <= set(receipt)
    assert told.splitlines()[2] == "| " + " | ".join(str(receipt[name]) for name in named) + " |"
