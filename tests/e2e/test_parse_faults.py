"""Every fault of the parsing service at once, two good documents beside each: which ends how, and what is paid."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from docproc.local import mocks
from mocks.faults import FAULTS
from tests.conftest import clone
from tests.e2e.conftest import local
from tests.e2e.documents import pdf
from tests.e2e.tables import Tables
from tests.support import ROOT, Docproc, Mocks

PAGES = 4
"""Pages of a document that a fault strikes; the good ones beside it have one."""


@dataclass(frozen=True, slots=True)
class Row:
    """What becomes of a document of four pages that ``spec`` strikes.

    ``code`` is the one told in its history, ``tries`` how many tries ended in it, ``paid`` the pages billed.
    """

    spec: str
    words: str
    state: str
    code: str = ""
    tries: int = 0
    submits: int = 1
    paid: int = PAGES

    @property
    def fault(self) -> str:
        """The name in the catalogue."""
        return self.spec.partition(":")[0]

    def line(self) -> str:
        """The row of docs/parsers.md."""
        name = self.spec.replace("llamaparse.", "")
        code = f"`{self.code}`" if self.code else "–"
        return f"| `{name}` | {self.words} | `{self.state}` | {code} | {self.tries} | {self.submits} | {self.paid} |"


DONE, FAILED = "complete", "failed_parse"

ROWS = [
    Row("llamaparse.too_large", "the file is refused", FAILED, "parse.rejected", 1, 0, 0),
    Row("llamaparse.unprocessable", "the document is refused", FAILED, "parse.rejected", 1, 0, 0),
    Row("llamaparse.rate_limit:times=2,retry_after=0.2", "waits as long as it is told", DONE),
    Row(
        "llamaparse.server_error:times=1", "not in the service's list: submitted again", DONE, "parse.unavailable", 1, 2
    ),
    Row("llamaparse.unavailable:times=2", "uploaded again", DONE, "parse.unavailable", 2),
    Row("llamaparse.unavailable", "five tries, then given up", FAILED, "parse.unavailable", 5, 0, 0),
    Row("llamaparse.poll_error:times=2", "looks again", DONE, "parse.unavailable", 2),
    Row("llamaparse.poll_error", "five tries; `retry` has it for free", FAILED, "parse.unavailable", 5),
    Row("llamaparse.fetch_error:times=2", "fetched again", DONE, "parse.unavailable", 2),
    Row("llamaparse.expired:times=1", "submitted again", DONE, "parse.gone", 1, 2, 2 * PAGES),
    Row("llamaparse.error_after_accept:times=1", "found in the service's list", DONE, "parse.unavailable", 1),
    Row("llamaparse.slow:times=1,seconds=4", "timeout; found in the list", DONE, "parse.unavailable", 1),
    Row("llamaparse.reset:times=1", "found in the service's list", DONE, "parse.unavailable", 1),
    Row("llamaparse.empty_answer:times=1", "found in the service's list", DONE, "parse.no_result", 1),
    Row("llamaparse.html_answer:times=1", "found in the service's list", DONE, "parse.unavailable", 1),
    Row("llamaparse.unknown_state:times=3", "counts as not ready", DONE),
    Row("llamaparse.failed", "the service's word is shown", FAILED, "parse.failed", 1, 1, 0),
    Row("llamaparse.cached_failure", "`retry --resubmit` asks for a new parse", FAILED, "parse.failed", 1, 1, 0),
    Row("llamaparse.failed_pages:pages=2", "more than `max_failed_pages`", FAILED, "validate.pages_failed", 1, 1, 2),
    Row("llamaparse.missing_pages:pages=1", "more than `max_missing_pages`", FAILED, "validate.pages_missing", 1),
    Row("llamaparse.extra_pages:pages=1", "`status DOCUMENT` says so", DONE),
    Row("llamaparse.no_markdown", "the plain text is taken", DONE),
    Row("llamaparse.bad_text", "counts as no text", FAILED, "validate.empty", 1),
    Row("llamaparse.usage_null", "the price is not known, the pages are", DONE),
    Row("llamaparse.late:seconds=1", "waited for", DONE),
    Row("llamaparse.not_found_yet:seconds=1", "waited for", DONE),
]
STUCK = [
    Row("llamaparse.stuck", "given up at the deadline, three times", FAILED, "parse.timeout", 1, 3, 0),
    Row("llamaparse.stuck:times=1", "given up at the deadline, submitted again", DONE, "", 0, 2),
]
STOPPING = [
    Row("llamaparse.unauthorized", "the run ends with exit 12", "uploaded", "credentials.parser", 0, 0, 0),
    Row("llamaparse.payment_required", "the run ends with exit 5", "uploaded", "quota.parser", 0, 0, 0),
]

TABLE = [*ROWS, *STUCK, *STOPPING]

WAITS = {
    "DOCPROC_PARSER_TIMEOUT": "3",
    "DOCPROC_PARSER_SUBMITS_PER_10S": "0",
}
"""A timeout that ``slow`` outlasts."""


@dataclass(frozen=True, slots=True)
class Desk:
    """docproc over a database and mock services of its own, and what both hold afterwards."""

    docproc: Docproc
    tables: Tables
    mocks: Mocks
    bill: Path

    def documents(self) -> dict[str, str]:
        """The id of each document by its file's name, without the extension."""
        found = self.tables.rows("SELECT source, document_id FROM docproc.upload_jobs")
        return {Path(source).stem: str(document) for source, document in found}

    def became(self, name: str, row: Row) -> Row:
        """``row`` as it really was for the document ``name``."""
        ((state, submits),) = self.tables.rows(
            "SELECT j.status, coalesce(max(p.submits), 0) FROM docproc.upload_jobs j"
            " LEFT JOIN docproc.parse_calls p USING (document_id) WHERE j.source LIKE %s GROUP BY j.status",
            f"%/{name}.pdf",
        )
        told = self.tables.rows(
            "SELECT e.code FROM docproc.job_events e JOIN docproc.upload_jobs j USING (job_id)"
            " WHERE j.source LIKE %s AND e.code IS NOT NULL",
            f"%/{name}.pdf",
        )
        code = " ".join(sorted({code for (code,) in told}))
        return replace(row, state=state, code=code, tries=len(told), submits=submits, paid=self.paid(name))

    def paid(self, name: str) -> int:
        """The pages billed for the document, whichever of its submits they came from."""
        self.mocks.bill()  # ends the jobs whose time has come, as the service does whether anybody asks or not
        with closing(sqlite3.connect(f"file:{self.bill}?mode=ro", uri=True)) as db:
            statement = "SELECT coalesce(sum(billed), 0) FROM jobs WHERE name = ?"
            return int(db.execute(statement, (f"{self.documents()[name]}.pdf",)).fetchone()[0])

    def assert_untouched(self, name: str) -> None:
        """Fails unless the document is complete, and was submitted and paid for once."""
        plain = Row("", "", DONE, paid=1)
        assert self.became(name, plain) == plain

    def fired(self) -> Counter[str]:
        """How often each fault struck, by the service's own log."""
        return Counter(fault for entry in self.mocks.log() for fault in entry["faults"])

    def bring(self, rows: Sequence[Row]) -> None:
        """Ingests for each row the document that is struck and two beside it, and orders the faults."""
        folder = self.docproc.folder / "documents"
        folder.mkdir(exist_ok=True)
        for row in rows:
            name = name_of(row)
            (folder / f"{name}.pdf").write_bytes(pdf(*(f"Page {n} of the {name}." for n in range(PAGES))))
            for beside in (f"{name}-left", f"{name}-right"):
                (folder / f"{beside}.pdf").write_bytes(pdf(f"A good document, {beside}."))
        assert self.docproc.run("ingest", str(folder)).returncode == 0
        documents = self.documents()
        self.mocks.set_faults(*(aimed(row.spec, documents[name_of(row)]) for row in rows))


def name_of(row: Row) -> str:
    """A name for the row's document, made of its fault."""
    return "".join(letter if letter.isalnum() else "-" for letter in row.spec.removeprefix("llamaparse."))


def aimed(spec: str, document: str) -> str:
    """``spec`` for one document alone, which the service knows by its id."""
    return f"{spec}{',' if ':' in spec else ':'}match={document}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mocks, Path]]:
    """Mock services of this file's own, and the file with their bill."""
    home = tmp_path_factory.mktemp("service")
    with mocks.start(home, options=mocks.MockOptions(processing_delay=0.0)) as running:
        yield Mocks(running.address), home / "mocks" / "state.db"


def desk(server: str, service: tuple[Mocks, Path], folder: Path) -> Desk:
    """docproc in ``folder`` over an empty database."""
    conninfo, (services, bill) = clone(server, "template_docproc", f"faults_{folder.name}"), service
    return Desk(local(folder, conninfo, services.address, **WAITS), Tables(conninfo), services, bill)


@pytest.fixture(scope="module")
def struck(server: str, migrated: str, service: tuple[Mocks, Path], tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """One run over the documents of all rows, for tests that only look at it."""
    it = desk(server, service, tmp_path_factory.mktemp("faults"))
    # Apart: with a deadline so short, what waits behind a slow answer would be given up too.
    for rows, deadline in ((STUCK, "1"), (ROWS, "60")):
        it.bring(rows)
        said = it.docproc.run("run-all", DOCPROC_PARSER_DEADLINE=deadline)
        assert said.returncode == 3, said.stderr
    return it


def test_every_fault_of_the_service_has_a_row() -> None:
    catalogue = {name for name in FAULTS if name.startswith("llamaparse.")}
    assert {row.fault for row in TABLE} == catalogue


def test_the_documentation_has_this_table() -> None:
    table = "".join(f"{row.line()}\n" for row in TABLE)
    assert f"|---|---|---|---|---|---|---|\n{table}\n" in (ROOT / "docs/parsers.md").read_text("utf-8")


@pytest.mark.parametrize("row", [*ROWS, *STUCK], ids=name_of)
def test_a_fault_ends_as_the_table_says_and_leaves_the_documents_beside_it_alone(struck: Desk, row: Row) -> None:
    assert struck.fired()[row.fault] > 0
    assert struck.became(name_of(row), row) == row
    struck.assert_untouched(f"{name_of(row)}-left")
    struck.assert_untouched(f"{name_of(row)}-right")


@pytest.mark.parametrize(("row", "exit_code"), [(STOPPING[0], 12), (STOPPING[1], 5)])
def test_a_refused_account_stops_the_run_and_the_next_one_finishes_it(
    server: str, migrated: str, service: tuple[Mocks, Path], tmp_path: Path, row: Row, exit_code: int
) -> None:
    it = desk(server, service, tmp_path)
    it.bring([row])
    assert it.docproc.run("run-all").returncode == exit_code
    assert it.fired()[row.fault] > 0
    assert it.became(name_of(row), row) == replace(row, code="")
    it.mocks.set_faults()
    assert it.docproc.run("run-all").returncode == 0
    plain = Row("", "", DONE)
    assert it.became(name_of(row), plain) == plain
    it.assert_untouched(f"{name_of(row)}-left")
    it.assert_untouched(f"{name_of(row)}-right")
