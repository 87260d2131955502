"""Two users of one database: equal files are separate documents, and nothing of one shows for the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docproc.states import State
from tests.e2e.tables import Tables
from tests.support import Docproc

SHARED = "# Tide\n\nHigh at noon, low at six.\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with one file that both users have, one of each alone, and one that will fail."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "shared.md").write_text(SHARED)
    for user in ("alice", "bob"):
        (folder / f"of-{user}.md").write_text(f"# Of {user}\n\nNobody else's business.\n")
        (folder / f"blank-{user}.md").write_text(" \n" * len(user))
    return folder


def bring(docproc: Docproc, files: Path, user: str) -> None:
    names = [str(files / name) for name in ("shared.md", f"of-{user}.md", f"blank-{user}.md")]
    assert docproc.run("ingest", *names, "--user", user).returncode == 0


def ended(tables: Tables, user: str) -> dict[str, int]:
    rows = tables.rows("SELECT status, count(*) FROM docproc.upload_jobs WHERE user_id = %s GROUP BY 1", user)
    return dict(rows)


def test_a_run_for_one_user_touches_nothing_of_another(docproc: Docproc, tables: Tables, files: Path) -> None:
    bring(docproc, files, "alice")
    bring(docproc, files, "bob")
    for command in ("parse", "validate", "chunk", "embed"):
        docproc.run(command, "--user", "alice")
    assert ended(tables, "alice") == {State.COMPLETE: 2, State.FAILED_PARSE: 1}
    assert ended(tables, "bob") == {State.UPLOADED: 3}
    docproc.run("run-all", "--user", "bob")
    assert ended(tables, "bob") == {State.COMPLETE: 2, State.FAILED_PARSE: 1}
    assert tables.number("SELECT count(DISTINCT document_id) FROM docproc.upload_jobs") == 6


def test_nothing_of_one_user_shows_for_the_other(docproc: Docproc, files: Path) -> None:
    bring(docproc, files, "alice")
    bring(docproc, files, "bob")
    docproc.run("run-all", "--fail-on", "never")
    for mine, other in (("alice", "bob"), ("bob", "alice")):
        looks = (
            ["status", "--json"],
            ["status", "--failed"],
            ["status", "--state", "complete", "--json"],
            ["status", "shared.md"],
            ["search", "high at noon", "-k", "50", "--json"],
            ["search", "nobody", "--hybrid", "-k", "50"],
        )
        for words in looks:
            said = docproc.run(*words, "--user", mine)
            assert said.returncode == 0, said.stderr
            assert f"of-{other}" not in said.stdout + said.stderr
            assert f"blank-{other}" not in said.stdout + said.stderr
        look = json.loads(docproc.run("status", "--json", "--user", mine).stdout)
        assert {name: state["documents"] for name, state in look["states"].items() if state["documents"]} == {
            "complete": 2,
            "failed_parse": 1,
        }
    assert docproc.run("status", "of-bob.md", "--user", "alice").returncode == 2


def test_a_retry_for_one_user_sends_back_nothing_of_another(docproc: Docproc, tables: Tables, files: Path) -> None:
    bring(docproc, files, "alice")
    bring(docproc, files, "bob")
    docproc.run("run-all", "--fail-on", "never")
    said = docproc.run("retry", "--user", "alice")
    assert "sent back 1" in said.stdout
    assert ended(tables, "alice") == {State.COMPLETE: 2, State.PARSED: 1}
    assert ended(tables, "bob") == {State.COMPLETE: 2, State.FAILED_PARSE: 1}
