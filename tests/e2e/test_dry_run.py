"""What a run would do and pay, told before it: held against the run itself and against the mocks' own bill."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from docproc.local import mocks
from tests.e2e.tables import Tables
from tests.support import FIXTURES, Docproc, Mocks

PRICE_A_PAGE = 3 * 0.00125
PRICE_A_TOKEN = 0.02 / 1e6


def foretold(docproc: Docproc, *words: str, code: int = 0) -> dict[str, Any]:
    said = docproc.run(*words, "--dry-run", "--json")
    assert said.returncode == code, said.stderr
    return dict(json.loads(said.stdout))


def stage(forecast: dict[str, Any], command: str) -> dict[str, Any]:
    return next(line for line in forecast["stages"] if line["command"] == command)


def billed(services: Mocks) -> dict[str, int]:
    bill = services.bill()
    return {"pages": bill["pages_billed"], "tokens": bill["embedding_tokens"]}


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Texts, of which two are equal and two share a paragraph, and a text that is refused."""
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "tide.md").write_text("# Tide\n\nHigh at noon, low at six.\n")
    (folder / "same.md").write_text("# Tide\n\nHigh at noon, low at six.\n")
    (folder / "near.md").write_text("# Tide\n\nHigh at noon, low at six.\n\n# Ebb\n\nThen it goes.\n")
    (folder / "page.html").write_text("<h1>Wind</h1><p>From the west.</p>")
    (folder / "blank.txt").write_text(" \n \n")
    return folder


def test_a_dry_run_writes_nothing_and_asks_nobody(
    docproc: Docproc, tables: Tables, services: Mocks, texts: Path, tmp_path: Path
) -> None:
    docproc.run("run-all", str(FIXTURES / "documents"))
    before, requests = tables.dump(), len(services.log())
    objects = sorted((tmp_path / "desk" / "home").rglob("*"))
    for words in (["run-all", str(texts)], ["parse"], ["embed"], ["embed", "--rebuild"]):
        foretold(docproc, *words)
    assert tables.dump() == before
    assert len(services.log()) == requests
    assert sorted((tmp_path / "desk" / "home").rglob("*")) == objects


def test_what_is_foretold_of_texts_is_what_they_cost_to_the_token(
    docproc: Docproc, services: Mocks, texts: Path
) -> None:
    told = foretold(docproc, "run-all", str(texts))
    before = billed(services)
    docproc.run("run-all", str(texts), "--fail-on", "never")
    after = billed(services)
    assert stage(told, "embed")["units"] == after["tokens"] - before["tokens"] > 0
    assert stage(told, "parse")["units"] == after["pages"] - before["pages"] == 0
    assert told["is_whole"]
    assert told["usd"] == pytest.approx(stage(told, "embed")["units"] * PRICE_A_TOKEN, abs=1e-6)
    assert [work["refused"] for work in told["documents"] if work["refused"]] == ["validate.empty"]
    assert told["files"] == {"new": 4, "duplicate": 1}


def test_pages_are_foretold_where_they_can_be_counted_and_unknown_is_never_nothing(
    docproc: Docproc, tmp_path: Path
) -> None:
    # Mocks of its own: others may have parsed these files before, and the service charges nothing for its cache.
    with mocks.start(tmp_path / "mocks", options=mocks.MockOptions(processing_delay=0.0)) as running:
        own = Docproc({**docproc.environ, "DOCPROC_MOCKS_ADDRESS": running.address}, docproc.folder)
        _pages_are_foretold(own, Mocks(running.address))


def _pages_are_foretold(docproc: Docproc, services: Mocks) -> None:
    folder = FIXTURES / "documents"
    countable = sorted(path for path in folder.iterdir() if path.suffix in (".pdf", ".pptx", ".xlsx"))
    told = foretold(docproc, "run-all", *map(str, countable))
    before = billed(services)
    docproc.run("run-all", *map(str, countable))
    line = stage(told, "parse")
    assert (line["units"], line["unknown"]) == (billed(services)["pages"] - before["pages"], 0)
    assert line["usd"] == pytest.approx(line["units"] * PRICE_A_PAGE)
    embed = stage(told, "embed")
    assert (embed["units"], embed["unknown"]) == (0, len(countable))
    assert not told["is_whole"]


def test_a_document_whose_pages_cannot_be_counted_is_unknown(docproc: Docproc) -> None:
    letter = next((FIXTURES / "documents").glob("*.docx"))
    told = foretold(docproc, "run-all", str(letter))
    assert stage(told, "parse")["unknown"] == 1
    (work,) = told["documents"]
    assert (work["pages"], work["tokens"]) == (None, None)
    assert not told["is_whole"]


def test_of_an_unchanged_folder_nothing_is_to_do_and_of_changed_files_only_those(
    docproc: Docproc, services: Mocks, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    shutil.copytree(FIXTURES / "documents", folder)
    docproc.run("run-all", str(folder))
    told = foretold(docproc, "run-all", str(folder))
    assert (told["usd"], told["is_whole"], told["documents"]) == (0, True, [])
    assert set(told["files"]) == {"unchanged"}
    assert "nothing to do" in docproc.run("run-all", str(folder), "--dry-run").stderr
    changed = sorted(folder.glob("*.md"))[:3]
    for path in changed:
        path.write_text(path.read_text() + "\n\nOne line more.\n")
    told = foretold(docproc, "run-all", str(folder))
    assert sorted(work["source"] for work in told["documents"]) == [str(path) for path in changed]
    assert {work["outcome"] for work in told["documents"]} == {"changed"}
    before = billed(services)
    docproc.run("run-all", str(folder))
    assert stage(told, "embed")["units"] == billed(services)["tokens"] - before["tokens"]


def test_what_waits_in_the_queue_is_foretold_at_every_stage(docproc: Docproc, services: Mocks, texts: Path) -> None:
    docproc.run("ingest", str(texts / "tide.md"), str(texts / "near.md"), str(FIXTURES / "documents"))
    whole: set[int] = set()
    for command in ("parse", "validate", "chunk"):
        docproc.run(command, *(["--wait"] if command == "parse" else []))
        told = foretold(docproc, "run-all")
        assert {work["outcome"] for work in told["documents"]} == {"waiting"}
        assert stage(told, "parse")["documents"] == 0
        assert told["is_whole"]
        whole.add(stage(told, "embed")["units"])
    before = billed(services)
    docproc.run("embed")
    assert whole == {billed(services)["tokens"] - before["tokens"]}
    assert foretold(docproc, "run-all")["documents"] == []


def test_without_a_database_everything_is_new_and_none_is_made(docproc: Docproc, texts: Path, tmp_path: Path) -> None:
    bare = Docproc({k: v for k, v in docproc.environ.items() if k != "DATABASE_URL"}, docproc.folder)
    told = foretold(bare, "run-all", str(texts))
    assert told["files"] == {"new": 4, "duplicate": 1}
    assert stage(told, "embed")["units"] > 0
    assert not (tmp_path / "desk" / "home").exists()


def test_a_price_above_the_budget_is_exit_5(docproc: Docproc, texts: Path) -> None:
    assert foretold(docproc, "run-all", str(texts), "--budget", "$0.0000001", code=5)["budget"] == 1e-7
    assert foretold(docproc, "run-all", str(texts), "--budget", "$5")["budget"] == 5


def test_a_rebuild_with_another_model_is_foretold(docproc: Docproc, services: Mocks, texts: Path) -> None:
    docproc.run("run-all", str(texts), "--fail-on", "never")
    other = Docproc({**docproc.environ, "DOCPROC_EMBEDDER_MODEL": "text-embedding-3-large"}, docproc.folder)
    assert foretold(other, "embed")["documents"] == []
    told = foretold(other, "embed", "--rebuild")
    assert {work["outcome"] for work in told["documents"]} == {"rebuilt"}
    before = billed(services)
    other.run("embed", "--rebuild")
    assert stage(told, "embed")["units"] == billed(services)["tokens"] - before["tokens"] > 0
    assert told["usd"] == pytest.approx(stage(told, "embed")["units"] * 0.13 / 1e6, abs=1e-6)
