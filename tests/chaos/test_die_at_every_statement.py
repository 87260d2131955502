"""kill -9 before every statement and after every commit of a run: the next run finishes it as if nothing had been."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from docproc.postgres.database import Database
from docproc.postgres.reads import Reads
from tests.chaos import forked
from tests.chaos.conftest import LONG
from tests.chaos.told import KEYS, assert_counts_are_true, assert_nothing_leaked, assert_receipts_are_true
from tests.conftest import clone
from tests.e2e.conftest import local
from tests.e2e.documents import pdf
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks

DOCUMENTS = 4
PAGES = 2
"""Pages that go through the paid parser: those of the one PDF."""

STEPS = {"database.statement": 83, "database.committed": 37}
"""In the short form, every how many statements or commits the run dies once; a run has about 200 and 85 of them."""

PLACES = (
    *("add_jobs.sql", "add_sources.sql", "begin_run.sql", "claim.sql", "parse_call.sql", "begin_submit.sql"),
    *("open_parse_call.sql", "submitted.sql", "collected.sql", "settle.sql", "write_chunks.sql", "link_owned.sql"),
    *("begin_call.sql", "copy_vectors.sql", "write_vectors.sql", "count_embeds.sql", "end_call.sql", "go_live.sql"),
)
"""Statements that write what must not be lost or paid for twice: a count may pass them by, for threads take turns."""

VARIABLES = {
    "DOCPROC_PARSER_TIMEOUT": "2",  # a submit that never arrived is sent again after both
    "DOCPROC_PARSER_RECONCILE_GRACE": "0.3",
    "DOCPROC_RUNNER_EMBED_THREADS": "1",  # two threads may buy a text at the same time that two documents share
    **KEYS,
}


def documents(folder: Path, word: str) -> Path:
    """Fills ``folder`` with a PDF, a text file, and two Markdown files of which one section is the same."""
    folder.mkdir()
    (folder / "ladder.pdf").write_bytes(pdf(f"Ladders are counted at dusk, {word}.", f"The longest one bends, {word}."))
    (folder / "log.txt").write_text(f"Calm sea and a slow gull, {word}.\n", encoding="utf-8")
    shared = f"# Ropes\n\nRopes of {word} are kept dry. " + "They hang in rows along the northern wall. " * 60
    for name in ("north", "south"):
        own = f"# Sails\n\nSails in the {name} of {word} are kept folded. " + f"The {name} loft is long. " * 90
        (folder / f"{name}.md").write_text(f"{shared}\n\n{own}\n", encoding="utf-8")
    return folder


@dataclass(frozen=True, slots=True)
class Round:
    """One death and what came after it, in a database and a storage of its own."""

    docproc: Docproc
    tables: Tables
    mocks: Mocks
    folder: Path
    word: str

    def run_all(self, **more: str) -> tuple[int, str]:
        """Runs docproc to its end; its exit code and what it said."""
        said = self.run("run-all", str(self.folder), **more)
        assert_nothing_leaked(self.word, said.stdout.splitlines(), self.tables, whole="DOCPROC_FAULT_POINT" not in more)
        return said.returncode, said.stdout

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return forked.run(*words, environ={**self.docproc.environ, **more}, folder=self.docproc.folder)

    def die(self, point: str) -> tuple[str, int]:
        """Lets the run die at a fault point; where that was, and the inputs that were in flight.

        An empty text: the run was over before.
        """
        code, said = self.run_all(DOCPROC_FAULT_POINT=point)
        if code == 0:
            return "", 0
        assert code == -signal.SIGKILL, said
        *_, last = said.splitlines()
        assert last.startswith("killed at "), said
        return last.removeprefix("killed at "), self.tables.open_calls("embed")

    def finish(self) -> None:
        """Runs again: everything must become complete."""
        code, said = self.run_all()
        assert code == 0, said
        self.tables.assert_whole(DOCUMENTS)
        assert_counts_are_true(self.run, self.tables)
        assert_receipts_are_true(said.splitlines(), self.tables)

    def rest(self) -> None:
        """Runs once more: there is nothing to do, to ask for or to write."""
        asked, rows = self.mocks.bill(), self.tables.dump()
        code, said = self.run_all()
        assert code == 0, said
        assert self.mocks.bill() == asked
        assert self.tables.dump() == rows


def broken_invariants(conninfo: str) -> list[dict[str, object]]:
    """What docproc's own check of the data finds."""
    database = Database(conninfo)
    try:
        return Reads(database).broken_invariants(lease=120.0, max_submits=3)
    finally:
        database.close()


def new_round(server: str, services: Mocks, folder: Path) -> Round:
    """A folder of documents, and a docproc with a database and a storage that nobody used."""
    folder.mkdir()
    conninfo, word = clone(server, "template_docproc", "dying"), uuid4().hex
    desk = local(folder / "desk", conninfo, services.address, **VARIABLES)
    return Round(desk, Tables(conninfo), services, documents(folder / "documents", word), word)


def die_and_finish(at: Round, point: str) -> str:
    """One death at ``point``, then all that must hold. Returns where it was; nothing when the run was over before."""
    before = at.mocks.bill()
    where, in_flight = at.die(point)
    at.finish()
    after = at.mocks.bill()
    assert broken_invariants(at.tables.conninfo) == [], where
    assert after["pages_billed"] - before["pages_billed"] == PAGES, where
    assert after["jobs_created"] - before["jobs_created"] == 1, where
    distinct = at.tables.distinct_texts()
    assert distinct < at.tables.number("SELECT count(*) FROM docproc.document_chunk_buffer"), "no text is shared"
    assert distinct <= after["embedding_inputs"] - before["embedding_inputs"] <= distinct + in_flight, where
    at.rest()
    return where


@pytest.mark.parametrize("point", list(STEPS))
def test_a_run_that_dies_at_its_nth_statement_is_finished_by_the_next(
    point: str, server: str, migrated: str, services: Mocks, tmp_path: Path, seed: int, tell: Callable[[str], None]
) -> None:
    step = 1 if LONG else STEPS[point]
    n, seen = random.Random(seed).randrange(step) + 1, []
    while True:
        where = die_and_finish(new_round(server, services, tmp_path / str(n)), f"{point}:{n}")
        if not where:
            break
        seen.append(f"{n:4} {where}")
        tell(seen[-1])
        n += step
    assert len(seen) >= 2, f"the run was over after {n} of {point}"


def test_a_run_that_dies_before_a_write_is_finished_by_the_next(
    server: str, migrated: str, services: Mocks, tmp_path: Path, seed: int, tell: Callable[[str], None]
) -> None:
    for place in PLACES if LONG else random.Random(seed).sample(PLACES, 1):
        where = die_and_finish(new_round(server, services, tmp_path / place), f"database.statement@{place}")
        assert where == f"database.statement {place}"
        tell(where)
