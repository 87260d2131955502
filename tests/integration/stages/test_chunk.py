"""The chunk stage: one document's trouble is its own, and a long document is stored as it is cut, piece by piece."""

from __future__ import annotations

from pathlib import Path

import pytest

from docproc import tokens
from docproc.app import App
from docproc.chunkers import spool
from docproc.postgres import products
from docproc.states import Command, State
from tests.integration.bench import Bench, bring, bring_all, chunks_of, drain


def to_chunks(app: App) -> None:
    for command in (Command.PARSE, Command.VALIDATE, Command.CHUNK):
        drain(app, command)


def test_a_chunker_that_this_version_does_not_know_fails_its_own_job_alone(
    app: App, bench: Bench, tmp_path: Path
) -> None:
    bring_all(app, tmp_path, {"a.md": "# Tide\n\nHigh.\n", "b.md": "# Ebb\n\nLow.\n", "c.md": "# Wind\n\nNone.\n"})
    bench.sql("UPDATE docproc.upload_jobs SET chunks_version = 'markdown-clever@7' WHERE source LIKE '%%a.md'")
    bench.sql("UPDATE docproc.upload_jobs SET chunks_version = 'markdown-simple@1+max=9' WHERE source LIKE '%%b.md'")
    to_chunks(app)
    assert bench.states() == {"a.md": "failed_chunking", "b.md": "failed_chunking", "c.md": "chunks_stored"}
    error = bench.jobs()["a.md"]["last_error"]
    assert (error["code"], "markdown-clever@7" in error["what"]) == ("chunk.unknown_chunker", True)
    assert error["remedy"]


def test_a_long_document_is_spooled_and_written_in_parts(
    app: App, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "LARGEST", 1_000)
    monkeypatch.setattr(products, "MOST_AT_ONCE", 7)
    text = "# Häfen\n\n" + "\n\n".join(f"Paragraph {n}: the tide was high at noon. 👍 " * 20 for n in range(90))
    bring(app, tmp_path / "a.md", text)
    to_chunks(app)
    rows = bench.sql("SELECT * FROM docproc.document_chunk_buffer ORDER BY chunk_ord")
    assert len(rows) > 30
    assert [row["chunk_ord"] for row in rows] == list(range(len(rows)))
    assert all(row["text"] == text[row["char_start"] : row["char_end"]] for row in rows)
    assert all(row["tokens"] == tokens.count(row["embed_prefix"] + row["text"]) <= 400 for row in rows)
    assert bench.only()["progress"]["chunks_total"] == len(rows)


def test_chunks_written_again_in_parts_leave_none_of_the_old_ones(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "MOST_AT_ONCE", 3)
    job = bench.claim(State.PARSE_VALIDATED)
    for texts in ([f"old {n}" for n in range(10)], ["new", "old 1", "newer", "newest"]):
        with bench.database.transaction() as conn:
            products.write_chunks(conn, job, chunks_of(*texts))
        rows = bench.sql("SELECT text FROM docproc.document_chunk_buffer ORDER BY chunk_ord")
        assert [row["text"] for row in rows] == texts
