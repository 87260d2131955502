"""The stage commands one by one: each moves its own rows and no others."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import local
from tests.e2e.documents import PAGES, one_of_each
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks, wait_until

PAID, TEXT = ("ladder.pdf", "lantern.docx"), ("loft.md", "log.txt")


def states(paid: str, text: str) -> dict[str, str]:
    """The state of every document, by who parses it."""
    return dict.fromkeys(PAID, paid) | dict.fromkeys(TEXT, text)


def test_each_stage_command_moves_its_own_rows_and_no_others(
    conninfo: str, slow_services: Mocks, tables: Tables, tmp_path: Path
) -> None:
    docproc = local(tmp_path / "desk", conninfo, slow_services.address)

    def ends(exit_code: int, *words: str) -> dict[str, str]:
        said = docproc.run(*words)
        assert said.returncode == exit_code, said.stderr
        assert tables.leases() == 0
        return tables.states()

    folder = one_of_each(tmp_path / "documents")
    assert ends(0, "ingest", str(folder)) == states("uploaded", "uploaded")
    assert ends(0, "embed") == states("uploaded", "uploaded")
    assert ends(4, "parse") == states("parse_queued", "parsed")
    assert ends(0, "validate") == states("parse_queued", "parse_validated")
    assert ends(0, "chunk") == states("parse_queued", "chunks_stored")
    assert ends(0, "embed") == states("parse_queued", "complete")
    wait_until(lambda: slow_services.bill()["pages_billed"] == PAGES)
    assert ends(0, "parse") == states("parsed", "complete")
    assert ends(0, "validate") == states("parse_validated", "complete")
    assert ends(0, "chunk") == states("chunks_stored", "complete")
    assert ends(0, "embed") == states("complete", "complete")
    tables.assert_whole(4)


def test_parse_can_wait_until_every_parse_is_there(
    conninfo: str, slow_services: Mocks, tables: Tables, tmp_path: Path
) -> None:
    docproc: Docproc = local(tmp_path / "desk", conninfo, slow_services.address)
    assert docproc.run("ingest", str(one_of_each(tmp_path / "documents"))).returncode == 0
    assert docproc.run("parse", "--wait").returncode == 0
    assert tables.states() == states("parsed", "parsed")
