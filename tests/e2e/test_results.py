"""validate-deploy --results: the same documents through an environment again, or through two of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import COUNTERS, TABLES, clone
from tests.e2e.tables import Tables
from tests.support import FIXTURES, Docproc, Mocks


@pytest.fixture
def staged(docproc: Docproc, server: str, services: Mocks) -> Docproc:
    """docproc with a second profile, which has a database of its own and the services at the same mocks."""
    (docproc.folder / "docproc.toml").write_text("[profile.staging.chunker]\n", encoding="utf-8")
    database = clone(server, "template_docproc", "staging_results")
    return replace(docproc, environ={**docproc.environ, "STAGING_DATABASE_URL": database})


@pytest.fixture
def samples(tmp_path: Path) -> str:
    """Two documents, one of them for the paid parser."""
    folder = tmp_path / "samples"
    folder.mkdir()
    for name in ("bicycle-workshop.pdf", "tide-api.md"):
        (folder / name).write_bytes((FIXTURES / "documents" / name).read_bytes())
    return str(folder)


def compared(docproc: Docproc, *words: str, code: int, **variables: str) -> dict[str, dict[str, Any]]:
    """The differences in what became of documents."""
    told = replace(docproc, environ={**docproc.environ, **variables})
    said = told.run("validate-deploy", "--json", "--only", "drift", *words)
    assert said.returncode == code, said.stdout + said.stderr
    return {it["what"]: it for it in json.loads(said.stdout).get("drift", []) if it["kind"] == "results"}


def test_results_are_kept_in_a_baseline_and_compared_later(staged: Docproc, samples: str) -> None:
    told = ("--results", "--samples", samples)
    assert compared(staged, "--write-baseline", "b.json", *told, code=0) == {}
    kept = json.loads((staged.folder / "b.json").read_text("utf-8"))["results"]
    assert [sample["state"] for sample in kept["samples"]] == ["complete", "complete"]
    assert compared(staged, "--baseline", "b.json", *told, code=0) == {}
    smaller = compared(staged, "--baseline", "b.json", *told, code=6, DOCPROC_CHUNKER_NAME="markdown-simple@1+max=200")
    assert smaller["tide-api.md: chunks"]["severity"] == "error"
    assert int(smaller["tide-api.md: chunks"]["now"]) > int(smaller["tide-api.md: chunks"]["baseline"])


def test_two_environments_give_the_same_results_and_keep_nothing(staged: Docproc, samples: str) -> None:
    assert compared(staged, "--against", "staging", "--results", "--samples", samples, code=0) == {}
    for name in ("DATABASE_URL", "STAGING_DATABASE_URL"):
        tables = Tables(staged.environ[name])
        left = {table: tables.number(f"SELECT count(*) FROM docproc.{table}") for table in TABLES}
        assert not [table for table, count in left.items() if count and table not in COUNTERS], name


def test_another_environment_that_cuts_otherwise_is_told(staged: Docproc, samples: str) -> None:
    cut = '[profile.staging.chunker]\nname = "markdown-simple@1+max=200"\n'
    (staged.folder / "docproc.toml").write_text(cut, encoding="utf-8")
    found = compared(staged, "--against", "staging", "--results", "--samples", samples, code=6)
    assert {"bicycle-workshop.pdf: chunks", "tide-api.md: chunks"} <= set(found)


def test_results_without_anything_to_compare_with_are_refused(docproc: Docproc) -> None:
    said = docproc.run("validate-deploy", "--results")
    assert said.returncode == 2
    assert "--write-baseline" in said.stderr


def test_a_baseline_without_results_is_told(docproc: Docproc) -> None:
    assert docproc.run("validate-deploy", "--only", "drift", "--write-baseline", "b.json").returncode == 0
    said = docproc.run("validate-deploy", "--only", "drift", "--baseline", "b.json", "--results")
    assert said.returncode == 2
    assert "holds no results" in said.stderr
