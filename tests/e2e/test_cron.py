"""docproc under cron: each ``parse`` submits what is new, collects what is ready and leaves with an exit code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.documents import pdf
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks, wait_until

AT_WORK = "llamaparse.unknown_state:state=RUNNING"
"""Lets every look find the parser at work, for as long as the test wants it."""


@pytest.fixture
def reports(docproc: Docproc, tmp_path: Path) -> Path:
    """A folder of three PDFs, ingested."""
    folder = tmp_path / "reports"
    folder.mkdir()
    for name in ("anchor", "buoy", "capstan"):
        (folder / f"{name}.pdf").write_bytes(pdf(f"The {name} of {tmp_path.name} is inspected every spring."))
    assert docproc.run("ingest", str(folder)).returncode == 0
    return folder


def summary(said: subprocess.CompletedProcess[str]) -> str:
    """The first line of the report, without its duration."""
    return re.sub(r" · [0-9.hms]+ · exit", " · exit", said.stderr.splitlines()[0])


def asked(services: Mocks, operation: str) -> int:
    """How many requests of a kind the service had."""
    return int(services.bill()["requests"].get(operation, 0))


def wait_until_due(tables: Tables) -> None:
    """Waits until every job may be looked at again."""
    later = "SELECT count(*) FROM docproc.upload_jobs WHERE NOT is_final AND run_at > clock_timestamp()"
    wait_until(lambda: tables.number(later) == 0)


def test_three_parses_in_a_row_submit_then_look_then_collect(
    docproc: Docproc, tables: Tables, services: Mocks, reports: Path
) -> None:
    services.set_faults(AT_WORK)
    submits, looks = asked(services, "submit"), asked(services, "poll") + asked(services, "fetch")

    first = docproc.run("parse")
    assert (first.returncode, summary(first)) == (4, "done 0 · failed 0 · waiting 3 · exit 4")
    assert set(tables.states().values()) == {"parse_queued"}
    assert asked(services, "submit") - submits == 3

    wait_until_due(tables)
    second = docproc.run("parse")
    assert (second.returncode, summary(second)) == (4, "done 0 · failed 0 · waiting 3 · exit 4")
    assert asked(services, "submit") - submits == 3
    assert asked(services, "poll") + asked(services, "fetch") - looks >= 3

    services.set_faults()
    wait_until_due(tables)
    third = docproc.run("parse")
    assert (third.returncode, summary(third)) == (0, "done 3 · failed 0 · waiting 0 · exit 0")
    assert set(tables.states().values()) == {"parsed"}
    assert asked(services, "submit") - submits == 3
    assert tables.leases() == 0


def test_a_parse_with_nothing_to_do_ends_with_zero_and_writes_nothing(
    docproc: Docproc, tables: Tables, reports: Path
) -> None:
    assert docproc.run("parse", "--wait").returncode == 0
    before = tables.dump()
    again = docproc.run("parse")
    assert (again.returncode, summary(again)) == (0, "done 0 · failed 0 · waiting 0 · exit 0")
    assert docproc.run("parse", "--quiet").stderr == ""
    assert tables.dump() == before


def test_a_document_that_fails_is_told_once(docproc: Docproc, services: Mocks, reports: Path) -> None:
    services.set_faults("llamaparse.failed:times=1")
    said = docproc.run("parse", "--wait")
    assert (said.returncode, summary(said)) == (3, "done 2 · failed 1 · waiting 0 · exit 3")
    assert "parse.failed" in said.stderr
    again = docproc.run("parse")
    assert (again.returncode, summary(again)) == (0, "done 0 · failed 0 · waiting 0 · exit 0")


def test_one_parse_submits_all_that_is_new_however_low_the_limit(
    docproc: Docproc, tables: Tables, services: Mocks, reports: Path
) -> None:
    services.set_faults(AT_WORK)
    submits = asked(services, "submit")
    # One at once, the next ones 1.7 s apart.
    said = docproc.run("parse", DOCPROC_PARSER_SUBMITS_PER_10S="8", DOCPROC_PARSER_FIRST_POLL="30")
    assert (said.returncode, summary(said)) == (4, "done 0 · failed 0 · waiting 3 · exit 4")
    assert set(tables.states().values()) == {"parse_queued"}
    assert asked(services, "submit") - submits == 3
