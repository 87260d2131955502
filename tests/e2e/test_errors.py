"""Errors as users meet them: what happened, why, what to try, a stable code, the right exit code, never a traceback."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from docproc.postgres.database import Database
from tests.e2e.conftest import local
from tests.e2e.documents import pdf
from tests.e2e.tables import Tables
from tests.support import ROOT, Docproc, Mocks, bare_environment

PARSER_KEY, EMBEDDER_KEY = "bad-0f7c51d2", "sk-bad-93be4a60"
NOBODY = "postgresql://nobody:secret-word@127.0.0.1:9/none"


def assert_told(said: subprocess.CompletedProcess[str], exit_code: int, code: str) -> None:
    """Fails unless the command ended so and told the error in at most three lines, the last one with a remedy."""
    assert said.returncode == exit_code, said.stderr
    assert "Traceback" not in said.stdout + said.stderr
    lines = said.stderr.splitlines()
    at = next((n for n, line in enumerate(lines) if line.startswith("error ") and f"[{code}]" in line), None)
    assert at is not None, said.stderr
    assert [line.split()[0] for line in lines[at + 1 :]] in (["why", "try"], ["try"])
    assert len(lines[-1].split()) > 1


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """A text file."""
    path = tmp_path / "note.txt"
    path.write_text("The harbour master counts the gulls.\n", encoding="utf-8")
    return path


@pytest.fixture
def alone(tmp_path: Path) -> Docproc:
    """docproc without database or services."""
    return Docproc(bare_environment(DATABASE_URL=NOBODY, DOCPROC_HOME=str(tmp_path / "home")), tmp_path)


def with_keys(docproc: Docproc, mocks: Mocks) -> Docproc:
    """docproc with the profile's services set to real ones, at the mocks' address, with keys that they refuse."""
    environ = {
        **docproc.environ,
        "DOCPROC_PARSER_SERVICE": "real",
        "DOCPROC_EMBEDDER_SERVICE": "real",
        "LLAMA_CLOUD_API_KEY": PARSER_KEY,
        "LLAMA_CLOUD_BASE_URL": mocks.address,
        "OPENAI_API_KEY": EMBEDDER_KEY,
        "OPENAI_BASE_URL": f"{mocks.address}/v1",
    }
    return Docproc(environ, docproc.folder)


def test_a_missing_path_alone_fails_the_run(docproc: Docproc) -> None:
    said = docproc.run("run-all", "no/such/place")
    assert said.returncode == 1
    assert "ingest.missing" in said.stderr
    assert "no/such/place" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_missing_path_beside_a_good_one_lets_the_good_one_through(
    docproc: Docproc, tables: Tables, note: Path
) -> None:
    said = docproc.run("run-all", "no/such/place", str(note))
    assert said.returncode == 3
    assert "ingest.missing" in said.stderr
    assert tables.states() == {"note.txt": "complete"}


def test_an_unreachable_database_is_named_without_its_password(alone: Docproc) -> None:
    for command in (["run-all"], ["migrate"]):
        said = alone.run(*command, DOCPROC_MOCKS_ADDRESS="http://127.0.0.1:9")
        assert_told(said, 10, "database.unreachable")
        assert "127.0.0.1:9" in said.stderr
        assert "secret-word" not in said.stdout + said.stderr


def test_a_key_that_the_parser_refuses_stops_the_run_and_fails_no_document(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path
) -> None:
    (tmp_path / "gull.pdf").write_bytes(pdf("A gull on the roof of the harbour office."))
    said = with_keys(docproc, services).run("-vv", "run-all", str(tmp_path / "gull.pdf"))
    assert said.returncode == 12
    assert "[credentials.parser]" in said.stderr
    assert PARSER_KEY not in said.stdout + said.stderr
    assert EMBEDDER_KEY not in said.stdout + said.stderr
    assert tables.states() == {"gull.pdf": "uploaded"}
    assert tables.leases() == 0


def test_a_key_that_the_embedder_refuses_stops_the_run_and_fails_no_document(
    docproc: Docproc, tables: Tables, services: Mocks, note: Path
) -> None:
    said = with_keys(docproc, services).run("run-all", str(note))
    assert_told(said, 12, "credentials.embedder")
    assert EMBEDDER_KEY not in said.stdout + said.stderr
    assert tables.states()["note.txt"] in ("embedding_queued", "embedding_in_progress")
    assert tables.leases() == 0


def test_no_key_is_shown_by_any_look_at_the_settings(docproc: Docproc, services: Mocks) -> None:
    keyed = with_keys(docproc, services)
    for command in (["validate-deploy", "--json"], ["-vv", "search", "gulls"]):
        said = keyed.run(*command)
        assert PARSER_KEY not in said.stdout + said.stderr
        assert EMBEDDER_KEY not in said.stdout + said.stderr


def test_an_unknown_key_in_docproc_toml_is_answered_with_the_nearest(alone: Docproc) -> None:
    (alone.folder / "docproc.toml").write_text('[parser]\nteir = "fast"\n', encoding="utf-8")
    said = alone.run("status")
    assert_told(said, 2, "config.unknown_key")
    assert "parser.teir" in said.stderr
    assert "did you mean parser.tier?" in said.stderr


def test_an_unknown_profile_is_answered_with_the_nearest(alone: Docproc) -> None:
    said = alone.run("status", "--config", str(ROOT / "docproc.toml"), "--profile", "prodcution")
    assert_told(said, 2, "config.unknown_key")
    assert "did you mean production?" in said.stderr


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "DATABASE_URL"),
        ({"DATABASE_URL": "of the test"}, "LLAMA_CLOUD_API_KEY"),
        ({"DATABASE_URL": "of the test", "LLAMA_CLOUD_API_KEY": PARSER_KEY}, "OPENAI_API_KEY"),
    ],
)
def test_the_profile_production_names_the_variable_that_it_lacks(
    conninfo: str, tmp_path: Path, given: dict[str, str], named: str
) -> None:
    variables = given | ({"DATABASE_URL": conninfo} if given else {})
    docproc = Docproc(bare_environment(**variables), tmp_path)
    said = docproc.run("run-all", "--config", str(ROOT / "docproc.toml"), "--profile", "production")
    assert_told(said, 2, "config.missing")
    assert f"{named} is not set" in said.stderr
    assert PARSER_KEY not in said.stdout + said.stderr


def test_a_database_of_mock_results_is_not_used_with_real_services(
    docproc: Docproc, tables: Tables, services: Mocks, note: Path
) -> None:
    assert docproc.run("run-all", str(note)).returncode == 0
    before = tables.dump()
    real = with_keys(docproc, services)
    # Nothing answers there, so it is not known to be a mock.
    said = real.run("run-all", LLAMA_CLOUD_BASE_URL="http://127.0.0.1:9", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert_told(said, 2, "config.mixed_providers")
    assert tables.dump() == before


def test_a_database_that_was_not_migrated_is_answered_with_the_command(
    empty_database: Database, services: Mocks, tmp_path: Path, note: Path
) -> None:
    docproc = local(tmp_path / "desk", empty_database.conninfo, services.address)
    for command in (["run-all", str(note)], ["status"]):
        said = docproc.run(*command)
        assert_told(said, 13, "schema.old")
        assert "docproc migrate" in said.stderr


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["run-al"], "config.usage", "did you mean run-all?"),
        (["status", "--jsn"], "config.usage", "did you mean --json?"),
        (["search"], "config.usage", "docproc search --help"),
        (["ingest"], "config.usage", "docproc ingest FOLDER"),
        (["search", "gulls", "--limit", "many"], "config.usage", "docproc search --help"),
        (["retry", "--code", "parse.timeot"], "config.invalid", "did you mean parse.timeout?"),
        (["retry", "--state", "failed_pars"], "config.usage", "did you mean failed_parse?"),
        (["run-all", "--max-duration", "soon"], "config.invalid", "45m"),
        (["run-all", "--fail-on", "some"], "config.invalid", "never"),
        (["run-all", "--receipt", "nowhere/receipt.json"], "config.invalid", "--receipt"),
    ],
)
def test_wrong_words_on_the_command_line_are_errors_like_any_other(
    docproc: Docproc, words: list[str], code: str, hint: str
) -> None:
    said = docproc.run(*words)
    assert_told(said, 2, code)
    assert said.stdout == ""
    assert hint in said.stderr.splitlines()[-1]
    told = json.loads(docproc.run(*words, "--json").stdout)
    assert (told["schema"], told["type"], told["code"], told["exit"]) == (1, "exit_error", code, 2)


def test_a_product_that_the_database_refuses_is_reported_with_the_code_of_its_row(
    docproc: Docproc, tables: Tables, note: Path
) -> None:
    tables.change("ALTER TABLE docproc.document_chunk_buffer ADD CONSTRAINT nothing CHECK (false)")
    try:
        said = docproc.run("run-all", str(note), DOCPROC_RUNNER_MAX_ATTEMPTS="1")
    finally:
        tables.change("ALTER TABLE docproc.document_chunk_buffer DROP CONSTRAINT nothing")
    assert said.returncode == 1
    assert tables.codes() == {"note.txt": "job.unexpected"}
    assert "1 job.unexpected (failed_chunking)" in said.stderr
