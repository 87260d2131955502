"""validate-deploy as it is typed, with baselines and between profiles: what it shows, writes and exits with."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.conftest import clone
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks

SECRETS = ("key-of-the-parser-8f3a", "key-of-the-embedder-77b1", "pass-of-the-database-2c9d")
TOML = """
[parser]
tier = "agentic"
version = "2026-10-16"
[profile.staging.parser]
service = "real"
tier = "cost_effective"
version = "2026-09-28"
[profile.staging.embedder]
service = "real"
"""


@pytest.fixture
def staged(docproc: Docproc, server: str, services: Mocks) -> Docproc:
    """docproc with two profiles; staging has a database and keys of its own, and is at the mocks' address."""
    (docproc.folder / "docproc.toml").write_text(TOML, encoding="utf-8")
    staging = {
        "STAGING_DATABASE_URL": clone(server, "template_docproc", "staging"),
        "STAGING_LLAMA_CLOUD_API_KEY": SECRETS[0],
        "STAGING_LLAMA_CLOUD_BASE_URL": services.address,
        "STAGING_OPENAI_API_KEY": SECRETS[1],
        "STAGING_OPENAI_BASE_URL": f"{services.address}/v1",
    }
    return replace(docproc, environ={**docproc.environ, **staging})


def drift(docproc: Docproc, *words: str, code: int, **variables: str) -> dict[str, dict[str, Any]]:
    """The differences by what differs."""
    told = replace(docproc, environ={**docproc.environ, **variables})
    said = told.run("validate-deploy", "--json", "--only", "drift", *words)
    assert said.returncode == code, said.stdout + said.stderr
    document = json.loads(said.stdout)
    assert document["schema"] == 1
    return {difference["what"]: difference for difference in document["drift"]}


def test_a_baseline_is_written_private_and_nothing_differs_from_it(staged: Docproc) -> None:
    path = staged.folder / "b.json"
    for _ in range(2):
        said = staged.run("validate-deploy", "--only", "tokenizer", "--write-baseline", "b.json")
        assert said.returncode == 0, said.stderr
        assert "b.json" in said.stderr
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert drift(staged, "--baseline", "b.json", "--fail-on", "warn", code=0) == {}
    text = path.read_text("utf-8")
    assert not [secret for secret in SECRETS if secret in text]
    assert json.loads(text)["configuration"]["parser.tier"] == "agentic"


def test_what_changed_since_the_baseline_is_exit_6_from_its_level_on(staged: Docproc) -> None:
    assert staged.run("validate-deploy", "--only", "drift", "--write-baseline", "b.json").returncode == 0
    slower = drift(staged, "--baseline", "b.json", code=0, DOCPROC_RUNNER_LEASE="130", DOCPROC_MOCKS_SEED="4")
    assert {what: it["severity"] for what, it in slower.items()} == {"runner.lease": "warn", "mocks.seed": "info"}
    assert (slower["runner.lease"]["baseline"], slower["runner.lease"]["now"]) == (120.0, 130.0)
    drift(staged, "--baseline", "b.json", "--fail-on", "warn", code=6, DOCPROC_RUNNER_LEASE="130")
    drift(staged, "--baseline", "b.json", "--fail-on", "warn", code=0, DOCPROC_MOCKS_SEED="4")
    model = drift(staged, "--baseline", "b.json", code=6, DOCPROC_EMBEDDER_DIMENSIONS="512")
    assert (model["embedder.dimensions"]["severity"], model["embedder.dimensions"]["kind"]) == (
        "error",
        "configuration",
    )
    assert model["embedder.dimensions"]["against"] == "b.json"


def test_the_checks_run_beside_it_and_a_pipe_has_one_line_a_difference(staged: Docproc) -> None:
    assert staged.run("validate-deploy", "--only", "drift", "--write-baseline", "b.json").returncode == 0
    words = ("validate-deploy", "--only", "tokenizer", "--baseline", "b.json")
    said = staged.run(*words, DOCPROC_CHUNKER_NAME="markdown-simple@1+max=200")
    rows = [line.split("\t") for line in said.stdout.splitlines()]
    assert [row[:2] for row in rows] == [
        ["ok", "tokenizer.offline"],
        ["error", "drift.configuration.chunker.name"],
    ]
    assert [rows[1][2], rows[1][4]] == ["markdown-simple@1+max=200", "markdown-simple@1"]
    assert said.returncode == 6


def test_what_another_profile_has_otherwise_is_told_and_what_is_meant_to_is_said_to_be(
    staged: Docproc, tables: Tables
) -> None:
    before, other = tables.dump(), Tables(staged.environ["STAGING_DATABASE_URL"])
    there = other.dump()
    found = drift(staged, "--against", "staging", code=6)
    assert {what for what, it in found.items() if it["severity"] == "error"} == {"parser.tier", "parser.version"}
    assert (found["parser.tier"]["baseline"], found["parser.tier"]["now"]) == ("cost_effective", "agentic")
    assert {what for what, it in found.items() if it["severity"] == "warn"} == set()
    assert all("meant to differ" in it["why"] for it in found.values() if it["severity"] == "info")
    assert {"parser.service", "embedder.service", "OPENAI_API_KEY", "DATABASE_URL.database"} <= set(found)
    alike = {"DOCPROC_PARSER_TIER": "cost_effective", "DOCPROC_PARSER_VERSION": "2026-09-28"}
    assert {it["severity"] for it in drift(staged, "--against", "staging", code=0, **alike).values()} == {"info"}
    assert (tables.dump(), other.dump()) == (before, there)


def test_another_profile_s_schema_is_compared(staged: Docproc) -> None:
    with psycopg.connect(staged.environ["STAGING_DATABASE_URL"], autocommit=True) as conn:
        conn.execute("CREATE INDEX stray ON docproc.upload_jobs (priority)")
    found = drift(staged, "--against", "staging", code=6)
    assert found["schema.fingerprint"]["severity"] == "error"
    assert found["schema.fingerprint"]["baseline"] != found["schema.fingerprint"]["now"]


def test_another_profile_that_cannot_be_reached_is_one_finding(staged: Docproc) -> None:
    away = f"postgresql://u:{SECRETS[2]}@127.0.0.1:9/none"
    said = staged.run("validate-deploy", "--only", "drift", "--against", "staging", STAGING_DATABASE_URL=away)
    assert said.returncode == 6
    (row,) = [line.split("\t") for line in said.stdout.splitlines() if "drift.schema" in line]
    assert row[:2] == ["error", "drift.schema.database"]
    assert "127.0.0.1:9" in row[3]
    assert SECRETS[2] not in said.stdout + said.stderr


def test_from_staging_local_means_the_machine_s_own_database(staged: Docproc, server: str) -> None:
    own = {"LOCAL_DATABASE_URL": clone(server, "template_docproc", "laptop")}
    said = drift(staged, "--profile", "staging", "--against", "local", code=6, **own)
    name = conninfo_to_dict(own["LOCAL_DATABASE_URL"])["dbname"]
    assert (said["DATABASE_URL.database"]["baseline"], said["DATABASE_URL.database"]["now"]) == (name, "staging")
    assert said["OPENAI_API_KEY"]["baseline"] is None
    assert {it["kind"] for it in said.values()} == {"configuration", "secret"}  # the schemas were compared, and agree


def test_a_database_that_is_away_is_no_baseline(staged: Docproc) -> None:
    away = replace(staged, environ={**staged.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"})
    said = away.run("validate-deploy", "--only", "drift", "--write-baseline", "b.json")
    assert said.returncode == 10
    red = away.run("validate-deploy", "--only", "database.reachable", "--write-baseline", "b.json")
    assert red.returncode == 6
    assert "not written" in red.stderr
    assert not (staged.folder / "b.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--baseline", "docproc.toml"),
        ("--baseline", "none.json"),
        ("--write-baseline", "docproc.toml"),
        ("--write-baseline", "no-folder/b.json"),
        ("--against", "local"),
        ("--against", "stagin"),
        (),
    ],
)
def test_what_cannot_be_compared_is_exit_2_with_a_remedy(staged: Docproc, words: tuple[str, ...]) -> None:
    said = staged.run("validate-deploy", "--only", "drift", *words)
    assert said.returncode == 2
    assert "why" in said.stderr and "try" in said.stderr
    assert (staged.folder / "docproc.toml").read_text("utf-8") == TOML


def test_show_config_shows_every_value_with_its_origin_and_no_secret(staged: Docproc, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(SECRETS[1] + "\n")
    unset = ("STAGING_OPENAI_API_KEY", "SUPABASE_URL")
    environ = {name: value for name, value in staged.environ.items() if name not in unset}
    filed = replace(staged, environ={**environ, "STAGING_OPENAI_API_KEY_FILE": str(file), "DOCPROC_USER": "ada"})
    said = filed.run("validate-deploy", "--show-config", "--profile", "staging")
    assert said.returncode == 0, said.stderr
    assert not [secret for secret in SECRETS if secret in said.stdout + said.stderr]
    rows = {row[0]: row[1:] for row in (line.split("\t") for line in said.stdout.splitlines())}
    assert rows["user"] == ["ada", "DOCPROC_USER", "default", "changed"]
    assert rows["parser.service"] == ["real", "docproc.toml [profile.staging]", "mock", "changed"]
    assert rows["chunker.name"] == ["markdown-simple@1", "default", "markdown-simple@1", "default"]
    assert rows["OPENAI_API_KEY"][1] == "STAGING_OPENAI_API_KEY_FILE"
    assert rows["SUPABASE_URL"][0] == "not set"
    assert rows["DATABASE_URL"][1] == "STAGING_DATABASE_URL"
    assert "database=staging" in rows["DATABASE_URL"][0]

    document = json.loads(filed.run("validate-deploy", "--show-config", "--json", "--profile", "staging").stdout)
    known = {secret["name"]: secret for secret in document["secrets"]}
    assert known["DATABASE_URL"]["leads_to"]["database"] == "staging"
    assert known["OPENAI_API_KEY"]["fingerprint"] in rows["OPENAI_API_KEY"][0]
    assert {v["key"] for v in document["values"]} | set(known) == set(rows)


def seen(docproc: Docproc, *words: str) -> str:
    """What a command shows on a terminal of 120 columns, without colours."""
    ours, its = os.openpty()
    environ = {**docproc.environ, "COLUMNS": "120", "NO_COLOR": "1", "TERM": "xterm"}
    command = [sys.executable, "-m", "docproc", *words]
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, cwd=docproc.folder, env=environ)
    os.close(its)
    text = b""
    # Linux says the other end's close as an error, others as the end of a file.
    with suppress(OSError):
        while block := os.read(ours, 65536):
            text += block
    os.close(ours)
    process.wait(60)
    return re.sub(r"\x1b\[[0-9;]*m", "", text.decode())


def test_a_person_sees_a_section_for_the_differences_and_what_is_not_the_default(staged: Docproc) -> None:
    shown = seen(staged, "validate-deploy", "--only", "tokenizer", "--against", "staging")
    checks, _, differences = shown.partition("drift from profile staging")
    assert "✓ ok  tokenizer.offline" in checks
    assert re.search(r"✗ error +parser.tier +agentic +cost_effective\s+another tier is another parse", differences)
    assert re.search(r"· info +OPENAI_API_KEY +– +set \([0-9a-f]{8}\)", differences)
    told = seen(staged, "validate-deploy", "--show-config", "--profile", "staging")
    assert re.search(r"parser.service +real +not mock +docproc.toml \[profile.staging\]", told)
    assert re.search(r"OPENAI_API_KEY +set \([0-9a-f]{8}\) +STAGING_OPENAI_API_KEY", told)
    assert not [secret for secret in SECRETS if secret in shown + told]
    assert staged.run("validate-deploy", "--only", "drift", "--write-baseline", "b.json").returncode == 0
    assert "drift from b.json  none" in seen(staged, "validate-deploy", "--only", "drift", "--baseline", "b.json")


def test_show_config_asks_nobody(staged: Docproc, services: Mocks) -> None:
    before = len(services.log())
    away = "postgresql://nobody@127.0.0.1:9/none"
    assert staged.run("validate-deploy", "--show-config", DATABASE_URL=away).returncode == 0
    assert len(services.log()) == before
    assert not os.path.lexists(staged.environ["DOCPROC_HOME"])


def test_paid_checks_come_only_when_they_are_asked_for(staged: Docproc, services: Mocks) -> None:
    words = ("validate-deploy", "--json", "--only", "parser", "--only", "embedder", "--profile", "staging")
    bill = services.bill()["pages_billed"]
    free = json.loads(staged.run(*words).stdout)["checks"]
    assert services.bill()["pages_billed"] == bill
    said = staged.run(*words, "--paid")
    assert said.returncode == 0, said.stdout
    assert services.bill()["pages_billed"] == bill + 1
    paid = {check["id"] for check in json.loads(said.stdout)["checks"]} - {check["id"] for check in free}
    assert paid == {"parser.paid", "embedder.paid"}
