"""The validate and chunk stages: what may not go on, what equal parses share, what is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from docproc.app import App
from docproc.settings import Settings
from docproc.states import Command
from docproc.storage import key
from tests.conftest import MakeApp
from tests.integration.bench import Bench, bring, drain, pdf
from tests.support import Mocks


def through(app: App, *commands: Command) -> None:
    for command in commands:
        drain(app, command)


def test_too_many_failed_pages_fail_the_document(app: App, bench: Bench, services: Mocks, tmp_path: Path) -> None:
    services.set_faults("llamaparse.failed_pages:pages=1")
    bring(app, tmp_path / "a.pdf", pdf("one", "two", "three"))
    through(app, Command.PARSE, Command.VALIDATE)
    job = bench.only()
    assert (job["status"], job["failed_from"]) == ("failed_parse", "parsed")
    assert (job["last_error"]["code"], job["progress"]["pages_failed"]) == ("validate.pages_failed", 1)


@pytest.mark.parametrize(("share", "state"), [(0.34, "parse_validated"), (0.33, "failed_parse")])
def test_the_share_of_failed_pages_decides(
    make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path, share: float, state: str
) -> None:
    services.set_faults("llamaparse.failed_pages:pages=1")
    app = make_app(validate=replace(settings.validate, max_failed_pages=share))
    bring(app, tmp_path / "a.pdf", pdf("one", "two", "three"))
    through(app, Command.PARSE, Command.VALIDATE)
    assert bench.only()["status"] == state


def test_a_parse_without_text_is_no_success(app: App, bench: Bench, services: Mocks, tmp_path: Path) -> None:
    services.set_faults("llamaparse.bad_text:text=NO_CONTENT_HERE")
    bring(app, tmp_path / "a.pdf", pdf("one"))
    bring(app, tmp_path / "b.md", " \n\t\n")
    through(app, Command.PARSE, Command.VALIDATE)
    assert {(job["status"], job["last_error"]["code"]) for job in bench.jobs().values()} == {
        ("failed_parse", "validate.empty")
    }


def test_equal_parses_share_the_earliest_documents_path(app: App, bench: Bench, tmp_path: Path) -> None:
    for name, content in {"a.md": "# Tide\n\nHigh.\n", "b.md": "# Tide\r\n\r\nHigh.\r\n", "c.md": "# Ebb\n"}.items():
        bring(app, tmp_path / name, content)
        through(app, Command.PARSE, Command.VALIDATE)
    jobs = bench.jobs()
    assert jobs["a.md"]["parsed_sha"] == jobs["b.md"]["parsed_sha"] != jobs["c.md"]["parsed_sha"]
    assert jobs["a.md"]["parsed_path"] == jobs["b.md"]["parsed_path"] != jobs["c.md"]["parsed_path"]
    assert jobs["a.md"]["document_id"] != jobs["b.md"]["document_id"]
    drain(app)
    assert set(bench.states().values()) == {"complete"}


def test_the_parse_of_another_user_is_not_shared(app: App, make_app: MakeApp, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "a.md", "# Tide\n\nHigh.\n")
    through(app, Command.PARSE, Command.VALIDATE)
    other = make_app(user="someone")
    bring(other, tmp_path / "b.md", "# Tide\r\n\r\nHigh.\r\n")
    through(other, Command.PARSE, Command.VALIDATE)
    jobs = bench.jobs()
    assert jobs["a.md"]["parsed_sha"] == jobs["b.md"]["parsed_sha"]
    assert jobs["a.md"]["parsed_path"] != jobs["b.md"]["parsed_path"]


def test_control_characters_are_removed_and_counted(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "a.md", "# Tide\n\nHi\x00gh \x1bat noon.\n")
    through(app, Command.PARSE, Command.VALIDATE, Command.CHUNK)
    assert bench.only()["progress"]["characters_removed"] == 2
    assert b"High at noon." in app.storage.read(key(bench.only()["parsed_path"]))
    assert "High at noon." in bench.sql("SELECT text FROM docproc.document_chunk_buffer")[0]["text"]


def test_a_parse_that_is_gone_from_the_storage_fails_with_its_code(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "a.md", "# Tide\n")
    drain(app, Command.PARSE)
    app.storage.delete(key(bench.only()["parsed_path"]).removesuffix(".md") + ".json")
    drain(app, Command.VALIDATE)
    assert (bench.only()["status"], bench.only()["last_error"]["code"]) == ("failed_parse", "storage.missing")
