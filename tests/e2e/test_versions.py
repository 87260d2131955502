"""The life of some files: they come, change, go, return and move; after each step what is shown and what was paid."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import pytest

from tests.e2e.storages import Objects
from tests.e2e.tables import Tables
from tests.integration.bench import pdf
from tests.support import Docproc, Mocks

AGES = (
    "UPDATE docproc.upload_jobs SET created_at = created_at - interval '100 days',"
    " state_since = state_since - interval '100 days', superseded_at = superseded_at - interval '100 days'",
    "UPDATE docproc.sources SET changed_at = changed_at - interval '100 days',"
    " withdrawn_at = withdrawn_at - interval '100 days'",
    "UPDATE docproc.serving SET since = since - interval '100 days'",
)


def shown(tables: Tables, user: str = "default") -> dict[str, str]:
    """What readers of ``user`` see: the text of each source by its name."""
    rows = tables.rows("SELECT source, text FROM docproc.document_search WHERE user_id = %s ORDER BY chunk_ord", user)
    return {PurePath(source).name: text for source, text in rows}


class Bill:
    """What the services have billed since the last look."""

    def __init__(self, services: Mocks) -> None:
        self._services = services
        self._before: Mapping[str, Any] = services.bill()

    def since(self) -> tuple[int, int]:
        """Pages parsed, and texts embedded."""
        before, now = self._before, self._services.bill()
        self._before = now
        return now["pages_billed"] - before["pages_billed"], now["embedding_inputs"] - before["embedding_inputs"]


def synced(docproc: Docproc, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    said = docproc.run("run-all", "--sync", str(folder), "--max-withdraw", "100%", *more)
    assert said.returncode == 0, said.stderr
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A paid document and a free one."""
    made = tmp_path / "in"
    made.mkdir()
    (made / "paid.pdf").write_bytes(pdf("The ferry leaves at six"))
    (made / "free.md").write_text("# Tide\n\nHigh at noon.\n", "utf-8")
    return made


def test_a_file_comes_changes_goes_returns_and_moves(
    docproc: Docproc, tables: Tables, services: Mocks, folder: Path
) -> None:
    bill = Bill(services)
    synced(docproc, folder)
    assert set(shown(tables)) == {"paid.pdf", "free.md"}
    assert bill.since() == (1, 2)

    first = (folder / "paid.pdf").read_bytes()
    (folder / "paid.pdf").write_bytes(pdf("The ferry leaves at seven"))
    synced(docproc, folder)
    assert "seven" in shown(tables)["paid.pdf"]
    assert bill.since() == (1, 1)

    (folder / "free.md").unlink()
    said = synced(docproc, folder)
    assert set(shown(tables)) == {"paid.pdf"}
    assert "withdrawn 1" in said.stderr
    assert bill.since() == (0, 0)

    (folder / "free.md").write_text("# Tide\n\nHigh at noon.\n", "utf-8")
    said = synced(docproc, folder)
    assert set(shown(tables)) == {"paid.pdf", "free.md"}
    assert "returned 1" in said.stderr

    (folder / "paid.pdf").write_bytes(first)  # a version from before, kept for the grace time
    synced(docproc, folder)
    assert "six" in shown(tables)["paid.pdf"]

    (folder / "paid.pdf").rename(folder / "moved.pdf")
    synced(docproc, folder)
    assert set(shown(tables)) == {"moved.pdf", "free.md"}
    assert bill.since() == (0, 0)

    for statement in AGES:
        tables.change(statement)
    said = docproc.run("cleanup", "--json")
    assert said.returncode == 0, said.stderr
    removed = json.loads(said.stdout)["removed"]
    assert removed["withdrawn sources"] == 0, "its document is the moved file's"
    docproc.run("cleanup", "--grace", "0")
    assert tables.states() == {"paid.pdf": "complete", "free.md": "complete"}
    assert set(shown(tables)) == {"moved.pdf", "free.md"}
    synced(docproc, folder)
    assert bill.since() == (0, 0)


def test_what_two_users_have_alike_is_each_ones_own(
    docproc: Docproc, tables: Tables, services: Mocks, folder: Path
) -> None:
    bill = Bill(services)
    synced(docproc, folder, "--user", "ann")
    synced(docproc, folder, "--user", "bob")
    # The service gives the same bytes from its cache; vectors are bought by each user.
    assert bill.since()[1] == 4
    (folder / "free.md").unlink()
    synced(docproc, folder, "--user", "ann")
    assert set(shown(tables, "ann")) == {"paid.pdf"}
    assert set(shown(tables, "bob")) == {"paid.pdf", "free.md"}
    docproc.run("cleanup", "--grace", "0", "--user", "bob")
    assert tables.number("SELECT count(*) FROM docproc.sources WHERE user_id = 'ann'") == 2
    said = docproc.run("cleanup", "--source", str(folder / "paid.pdf"), "--user", "bob", "--json")
    assert said.returncode == 0, said.stderr
    assert set(json.loads(said.stdout)["left"].values()) == {0}
    assert set(shown(tables, "ann")) == {"paid.pdf"}
    assert set(shown(tables, "bob")) == {"free.md"}
    assert bill.since() == (0, 0)


def test_a_folder_that_is_empty_of_a_sudden_withdraws_nothing_and_ends_with_6(
    docproc: Docproc, tables: Tables, folder: Path
) -> None:
    synced(docproc, folder)
    for path in folder.iterdir():
        path.unlink()
    said = docproc.run("ingest", "--sync", str(folder))
    assert said.returncode == 6
    assert "2 of 2 sources" in said.stderr and "--max-withdraw 2" in said.stderr
    assert len(shown(tables)) == 2
    said = docproc.run("ingest", "--sync", str(folder), "--max-withdraw", "2")
    assert said.returncode == 0, said.stderr
    assert shown(tables) == {}


def test_a_folder_that_is_gone_withdraws_nothing(docproc: Docproc, tables: Tables, folder: Path) -> None:
    synced(docproc, folder)
    folder.rename(folder.with_name("elsewhere"))
    said = docproc.run("ingest", "--sync", str(folder), "--max-withdraw", "100%")
    assert said.returncode == 2 and "is none" in said.stderr
    assert len(shown(tables)) == 2


def test_a_document_is_forgotten_without_a_trace(
    docproc: Docproc, tables: Tables, services: Mocks, folder: Path
) -> None:
    synced(docproc, folder)
    spent = tables.number("SELECT count(*) FROM docproc.api_calls")
    dumped = tables.dump()
    dry = docproc.run("cleanup", "--document", str(folder / "paid.pdf"), "--dry-run", "--json")
    assert json.loads(dry.stdout)["found"]["upload_jobs"] == 1
    assert tables.dump() == dumped
    said = docproc.run("cleanup", "--document", str(folder / "paid.pdf"), "--json")
    assert said.returncode == 0, said.stderr
    assert set(json.loads(said.stdout)["left"].values()) == {0}
    assert set(shown(tables)) == {"free.md"}
    assert tables.number("SELECT count(*) FROM docproc.api_calls") == spent
    assert [key for key in Objects.of(docproc).all_keys() if key.endswith(".pdf")] == []
